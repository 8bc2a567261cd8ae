// Milp: a mixed-integer linear programme as plain data, for a solver from elsewhere.
//
//   minimise  sum of cost[c] * x[c]   where 0 <= x[c] <= 1, whole where is_whole[c], and for every
//   row r     sum of coefficient[i] * x[column[i]] over its entries i <= most[r]
//
// The entries of row r are [row_begin[r], row_begin[r + 1]): compressed rows as scipy has them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace tidemark {

struct Milp {
  using Term = std::pair<int, double>;  // a column with its coefficient

  std::vector<double> cost;
  std::vector<std::uint8_t> is_whole;
  std::vector<std::int64_t> row_begin{0};
  std::vector<std::int32_t> column;
  std::vector<double> coefficient;
  std::vector<double> most;

  int num_columns() const noexcept { return static_cast<int>(cost.size()); }

  // Returns the new column.
  int add_column(double column_cost, bool whole) {
    cost.push_back(column_cost);
    is_whole.push_back(whole ? 1 : 0);
    return num_columns() - 1;
  }

  // Adds a row; a term without a column (negative) counts for nothing.
  template <typename Terms>
  void add_row(const Terms& terms, double row_most) {
    for (const Term& term : terms) {
      if (term.first < 0) continue;
      column.push_back(term.first);
      coefficient.push_back(term.second);
    }
    row_begin.push_back(static_cast<std::int64_t>(column.size()));
    most.push_back(row_most);
  }
  void add_row(std::initializer_list<Term> terms, double row_most) {
    add_row<std::initializer_list<Term>>(terms, row_most);
  }
};

}  // namespace tidemark
