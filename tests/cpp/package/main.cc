// Uses the installed core: exits with 0 when it links, runs and answers.
#include <tidemark/base/bytes.h>
#include <tidemark/graph/graph.h>

int main() {
  tidemark::check(tidemark::StepGraph{});
  return tidemark::parse_bytes("6 GiB") == tidemark::gib(6) ? 0 : 1;
}
