// What hostile text is put through: each reader either refuses it with a std::invalid_argument that
// is not empty, or gives something that is written and read back as the same. Anything else (a
// crash, another exception, a difference) ends the process or leaves as a std::logic_error.
//
// The libFuzzer targets and the test with fixed mutations share these.
#pragma once

#include <string_view>

namespace tidemark::fuzz {

void read_graph(std::string_view text);
// Follows the plan through the simulator and the validator too, on the worked example's graph.
void read_plan(std::string_view text);
void read_bytes(std::string_view text);
void read_profile(std::string_view text);
// Packs the buffers too, with little effort.
void read_lifetimes(std::string_view text);

}  // namespace tidemark::fuzz
