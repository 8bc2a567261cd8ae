// Relaxation: a lower bound on a mixed-integer linear programme, from its linear relaxation.
//
// Primal-dual hybrid gradient (Chambolle and Pock, 2011) with the scaling, the restarts and the
// balance of steps of PDLP (Applegate et al., NeurIPS 2021): nothing but products with the matrix
// and its transpose. What counts is that it needs no end: every y >= 0 proves
//
//   cost of any solution >= -most * y + sum over columns of min(0, cost + (transposed matrix) y)
//
// as all columns lie in [0, 1]: cut short it is no less true. That is why it is here and no
// solver's, which the core would have to bring along for this alone. Cost: `iterations` times the
// entries of the programme.
#pragma once

#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/plan/milp.h"

namespace tidemark {

struct Relaxation {
  double least = 0;              // no solution costs less
  std::vector<double> solution;  // one number in [0, 1] per column; rows hold only nearly
};

// Looks for the best bound in so many iterations. The same programme always gives the same bits.
TIDEMARK_API Relaxation relax(const Milp& programme, int iterations);

}  // namespace tidemark
