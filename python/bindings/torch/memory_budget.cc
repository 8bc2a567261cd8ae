#include "tidemark/runtime/memory_budget.h"

#include <pybind11/functional.h>
#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

#include "../plan_failure.h"
#include "arena.h"
#include "tidemark/graph/graph_json.h"
#include "tidemark/plan/plan_json.h"

namespace py = pybind11;

namespace tidemark {
namespace {

const char* kind_text(StepKind kind) {
  switch (kind) {
    case StepKind::kWatched:
      return "watched";
    case StepKind::kPlanned:
      return "planned";
    case StepKind::kAdapted:
      return "adapted";
    case StepKind::kDiverged:
      return "diverged";
  }
  return "";
}

ArenaUse arena_use(const std::string& text) {
  if (text == "on") return ArenaUse::kOn;
  if (text == "off") return ArenaUse::kOff;
  if (text == "poison") return ArenaUse::kPoison;
  return ArenaUse::kAuto;
}

MemoryBudgetOptions make_options(std::string policy, double time_limit_s,
                                 const std::optional<std::string>& plan_json,
                                 std::vector<at::Tensor> track, bool check_writes,
                                 const std::string& arena) {
  MemoryBudgetOptions options;
  options.policy = std::move(policy);
  options.time_limit_s = time_limit_s;
  if (plan_json) options.plan = plan_from_json(*plan_json);
  options.track = std::move(track);
  options.check_writes = check_writes;
  options.arena = arena_use(arena);
  return options;
}

py::dict last_step(const MemoryBudget& budget) {
  const LastStep& last = budget.last_step();
  py::dict result;
  result["kind"] = kind_text(last.kind);
  result["peak_bytes"] = last.peak_bytes;
  result["promised_bytes"] = last.promised_bytes;
  result["num_replays"] = last.num_replays;
  result["tape_bytes"] = last.tape_bytes;
  result["difference"] = last.difference;
  return result;
}

py::dict counts(const MemoryBudget& budget) {
  const StepCounts& counts = budget.counts();
  py::dict result;
  result["watched"] = counts.watched;
  result["planned"] = counts.planned;
  result["adapted"] = counts.adapted;
  result["diverged"] = counts.diverged;
  return result;
}

py::dict arena(const MemoryBudget& budget) {
  const Arenas& arenas = budget.arenas();
  return bindings::arena_summary(arenas.counts(), arenas.why_not(), arenas.plan());
}

py::object layout(const MemoryBudget& budget) {
  return bindings::layout_of(budget.arenas().plan());
}

py::object exceeded(const MemoryBudget& budget) {
  const std::optional<BudgetExceededInfo>& info = budget.exceeded();
  if (!info) return py::none();
  py::dict result;
  result["text"] = info->text();
  result["budget_bytes"] = info->budget_bytes;
  result["missing_bytes"] = info->missing_bytes;
  result["requested_bytes"] = info->requested_bytes;
  result["op"] = info->op;
  result["optimizer_had_begun"] = info->optimizer_had_begun;
  return result;
}

// BudgetInfeasible becomes tidemark.BudgetInfeasible with the same fields.
void raise_infeasible(const BudgetInfeasible& error) {
  const PlanFailure& why = error.failure();
  py::object type = py::module_::import("tidemark.errors").attr("BudgetInfeasible");
  py::object instance =
      type(error.what(), py::arg("budget_bytes") = why.budget_bytes,
           py::arg("floor_bytes") = why.floor_bytes,
           py::arg("least_feasible_bytes") = why.least_feasible_bytes,
           py::arg("lower_bound_ns") = bindings::lower_bound_ns(why), py::arg("op") = error.op(),
           py::arg("scope") = error.scope(), py::arg("source") = error.source(),
           py::arg("fixed_bytes") = bindings::fixed_bytes(why),
           py::arg("timed_out") = bindings::timed_out(why));
  PyErr_SetObject(type.ptr(), instance.ptr());
}

}  // namespace

void bind_memory_budget(py::module_& module) {
  // NOLINTNEXTLINE(performance-unnecessary-value-param): pybind11's type
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const BudgetInfeasible& error) {
      raise_infeasible(error);
    }
  });
  py::class_<MemoryBudget>(module, "MemoryBudget")
      .def(py::init([](Bytes memory, std::string policy, double time_limit_s,
                       const std::optional<std::string>& plan_json, std::vector<at::Tensor> track,
                       bool check_writes, const std::string& arena) {
        return std::make_unique<MemoryBudget>(
            memory, make_options(std::move(policy), time_limit_s, plan_json, std::move(track),
                                 check_writes, arena));
      }))
      .def("enter", &MemoryBudget::enter)
      .def("leave", &MemoryBudget::leave)
      .def("close", &MemoryBudget::close)
      .def("set_memory", &MemoryBudget::set_memory)
      .def("set_place_finder",
           [](MemoryBudget& budget, std::function<std::pair<std::string, std::string>()> find) {
             budget.set_place_finder([find = std::move(find)] {
               py::gil_scoped_acquire gil;
               auto [scope, source] = find();
               return Place{std::move(scope), std::move(source)};
             });
           })
      .def_property_readonly("is_watching", &MemoryBudget::is_watching)
      .def_property_readonly("is_in_step", &MemoryBudget::is_in_step)
      .def_property_readonly("counts", &counts)
      .def_property_readonly("last_step", &last_step)
      .def_property_readonly("arena", &arena)
      .def_property_readonly("layout", &layout)
      .def_property_readonly("exceeded", &exceeded)
      .def_property_readonly("unseen_write", &MemoryBudget::unseen_write)
      .def_property_readonly("peak_bytes", &MemoryBudget::peak_bytes)
      .def_property_readonly("plan_seconds", &MemoryBudget::plan_seconds)
      .def_property_readonly("num_variants", &MemoryBudget::num_variants)
      .def_property_readonly("num_cache_hits", &MemoryBudget::num_cache_hits)
      .def_property_readonly("graph_json",
                             [](const MemoryBudget& budget) -> std::optional<std::string> {
                               if (budget.graph() == nullptr) return std::nullopt;
                               return to_json(*budget.graph());
                             })
      .def_property_readonly("plan_json",
                             [](const MemoryBudget& budget) -> std::optional<std::string> {
                               if (budget.plan() == nullptr) return std::nullopt;
                               return to_json(*budget.plan());
                             });
}

}  // namespace tidemark
