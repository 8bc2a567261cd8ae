#include "fuzz/readers.h"

#include <optional>
#include <stdexcept>
#include <string>

#include "tidemark/arena/instance_csv.h"
#include "tidemark/arena/pack.h"
#include "tidemark/arena/validate_layout.h"
#include "tidemark/base/bytes.h"
#include "tidemark/graph/device_profile.h"
#include "tidemark/graph/graph_json.h"
#include "tidemark/plan/plan_json.h"
#include "tidemark/plan/simulate.h"
#include "tidemark/plan/validate.h"

namespace tidemark::fuzz {
namespace {

void require(bool is_so, const char* what) {
  if (!is_so) throw std::logic_error(what);
}

// What `read` gives, nothing if it refuses.
template <typename Read>
auto unless_refused(Read read) -> std::optional<decltype(read())> {
  try {
    return read();
  } catch (const std::invalid_argument& error) {
    require(*error.what() != '\0', "refused without a word");
    return std::nullopt;
  }
}

// Both judge the same plan and share no line: what one runs, the other must not find impossible.
void follow(const Plan& plan) {
  static const StepGraph graph = load_graph(TIDEMARK_TEST_DATA "/mlp3.json");
  const auto simulation = unless_refused([&] { return simulate(graph, plan); });
  const auto violation = validate(graph, plan);
  require(simulation || violation, "valid, yet the simulator cannot run it");
}

// Whether the rows may be placed or not: what is placed is right, and written and read back.
void place(const Instance& instance) {
  const Packing packing = pack(instance, {.work_limit = 20'000});
  if (packing.status == PackStatus::kInfeasible && packing.layout.offsets.empty()) return;
  require(!validate(instance, packing.layout), "the packer gives a layout that is none");
  const std::string written = to_csv(instance, packing.layout);
  require(to_csv(instance_from_csv(written), packing.layout) == written,
          "the buffers are read back as others");
}

}  // namespace

void read_graph(std::string_view text) {
  const auto graph = unless_refused([&] { return graph_from_json(text); });
  if (!graph) return;
  const std::string written = to_json(*graph);
  require(to_json(graph_from_json(written)) == written, "the graph is read back as another");
}

void read_plan(std::string_view text) {
  const auto plan = unless_refused([&] { return plan_from_json(text); });
  if (!plan) return;
  const std::string written = to_json(*plan);
  require(to_json(plan_from_json(written)) == written, "the plan is read back as another");
  follow(*plan);
}

void read_bytes(std::string_view text) {
  const auto bytes = unless_refused([&] { return parse_bytes(text); });
  if (!bytes) return;
  require(*bytes >= 0, "a negative size");
  require(parse_bytes(std::to_string(*bytes)) == *bytes, "a number of bytes is read as another");
}

void read_profile(std::string_view text) {
  const auto profile = unless_refused([&] { return device_profile_from_json(text); });
  if (!profile) return;
  require(device_profile_from_json(to_json(*profile)) == *profile,
          "the profile is read back as another");
  const OpWork work{.flops = 1e15, .bytes = 1e12, .random_numbers = 1e12};
  require(cost_of(work, *profile) >= 0, "a negative time");
}

void read_lifetimes(std::string_view text) {
  const auto instance = unless_refused([&] { return instance_from_csv(text); });
  if (instance) place(*instance);
}

}  // namespace tidemark::fuzz
