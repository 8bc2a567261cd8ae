import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import tidemark
from tidemark import BudgetInfeasible, Plan, PlanMismatch, StepGraph

STEP = Path(__file__).parent.parent / "data" / "mlp3.json"


@pytest.fixture(scope="module")
def graph() -> StepGraph:
    return StepGraph.load(STEP)


@pytest.fixture(scope="module")
def made(graph: StepGraph) -> Plan:
    return tidemark.plan(graph, graph.peak_bytes * 19 // 20)


def test_a_plan_keeps_its_promise(graph: StepGraph, made: Plan) -> None:
    result = tidemark.simulate(graph, made)

    assert made.peak_bytes <= made.budget_bytes
    assert result.peak_bytes == made.peak_bytes
    assert result.recompute_ns == made.recompute_ns >= made.lower_bound_ns
    assert result.num_replays == made.num_replays > 0
    assert tidemark.validate(graph, made) is None


@pytest.mark.parametrize("policy", tidemark.policies())
def test_every_policy_plans_the_unplanned_peak(graph: StepGraph, policy: str) -> None:
    made = tidemark.plan(graph, graph.peak_bytes, policy=policy)

    assert tidemark.validate(graph, made) is None


def test_planning_is_deterministic(graph: StepGraph, made: Plan) -> None:
    again = tidemark.plan(graph, made.budget_bytes)

    assert again == made
    assert again.to_json() == made.to_json()
    assert hash(again) == hash(made)


def test_effort_is_work_and_buys_cheaper_plans() -> None:
    graph = tidemark.generate("random300", optimizer="none")
    floor = tidemark.plan(graph, graph.peak_bytes, policy="keep_all").floor_bytes
    budget = floor + (graph.peak_bytes - floor) // 6
    little, much = (tidemark.plan(graph, budget, effort=effort) for effort in (0.01, 4))
    assert much.recompute_ns < little.recompute_ns
    assert tidemark.plan(graph, budget, effort=0.01) == little
    with pytest.raises(ValueError, match="effort is 0"):
        tidemark.plan(graph, budget, effort=0.0)


def test_planning_tells_how_far_it_is_and_ends_when_told(graph: StepGraph) -> None:
    told: list[tuple[int, int]] = []

    def listen(num_searches: int, budget_bytes: int) -> bool:
        told.append((num_searches, budget_bytes))
        return len(told) < 2

    floor = tidemark.plan(graph, graph.peak_bytes).floor_bytes
    budget = (floor + graph.peak_bytes) // 2
    made = tidemark.plan(graph, budget, progress=listen)
    assert made.peak_bytes <= budget
    assert len(told) == 2
    assert all(floor <= size <= graph.peak_bytes for _, size in told)


def test_what_the_progress_callback_raises_ends_planning(graph: StepGraph) -> None:
    def listen(num_searches: int, budget_bytes: int) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        tidemark.plan(graph, graph.peak_bytes * 3 // 4, progress=listen)


@pytest.mark.parametrize(
    "search",
    [
        lambda graph: tidemark.plan(graph, "30 GiB", effort=1000, time_limit=60),
        lambda graph: tidemark.frontier(graph, points=200),
        lambda graph: tidemark.least_memory(graph, max_slowdown=1.2, time_limit=60),
    ],
)
def test_ctrl_c_ends_planning(
    search: Callable[[StepGraph], object], press_ctrl_c_soon: Callable[[], None]
) -> None:
    graph = tidemark.generate("densenet121", optimizer="none", batch=256)

    press_ctrl_c_soon()
    with pytest.raises(KeyboardInterrupt):
        search(graph)


def test_a_plan_survives_json_and_files(made: Plan, tmp_path: Path) -> None:
    made.save(tmp_path / "plan.json")

    assert Plan.load(tmp_path / "plan.json") == made
    assert Plan.load(tmp_path / "plan.json").plan_seconds is None


def test_an_infeasible_budget_names_the_least_and_what_is_fixed(graph: StepGraph) -> None:
    with pytest.raises(BudgetInfeasible) as caught:
        tidemark.plan(graph, "1 KiB")

    no = caught.value
    assert no.budget_bytes == 1024
    assert no.least_feasible_bytes >= no.floor_bytes > 1024
    assert no.lower_bound_ns is None
    assert no.op.startswith("aten::")
    assert no.fixed_bytes["Parameter"] > 0
    assert "Parameter" in str(no)
    assert tidemark.plan(graph, no.least_feasible_bytes).peak_bytes <= no.least_feasible_bytes


def test_a_refusal_passes_from_process_to_process(graph: StepGraph) -> None:
    with pytest.raises(BudgetInfeasible) as caught:
        tidemark.plan(graph, 1)

    passed = pickle.loads(pickle.dumps(caught.value))

    assert type(passed) is BudgetInfeasible
    assert str(passed) == str(caught.value)
    assert vars(passed) == vars(caught.value)
    assert passed.least_feasible_bytes == caught.value.least_feasible_bytes


def test_between_floor_and_least_the_bound_says_what_a_plan_would_cost() -> None:
    graph = tidemark.generate("resnet50", optimizer="none")
    floor = tidemark.plan(graph, graph.peak_bytes, policy="keep_all").floor_bytes

    with pytest.raises(BudgetInfeasible, match=r"at least [0-9.]+ % longer") as caught:
        tidemark.plan(graph, floor + floor // 100)

    least = tidemark.plan(graph, caught.value.least_feasible_bytes)
    assert caught.value.lower_bound_ns is not None
    assert caught.value.lower_bound_ns >= least.lower_bound_ns > 0


def test_mistakes_are_value_errors_that_say_what_is_allowed(graph: StepGraph) -> None:
    with pytest.raises(ValueError, match="keep_all"):
        tidemark.plan(graph, "1 MiB", policy="magic")
    with pytest.raises(ValueError, match="negative"):
        tidemark.plan(graph, -1)
    with pytest.raises(ValueError, match="time_limit"):
        tidemark.plan(graph, "1 MiB", time_limit=0.0)


def test_a_plan_for_another_step_is_refused_with_the_difference(
    graph: StepGraph, made: Plan
) -> None:
    other = StepGraph.from_json(graph.to_json().replace("aten::relu_", "aten::gelu_"))

    made.check_graph(graph)
    with pytest.raises(PlanMismatch, match="aten::gelu_"):
        made.check_graph(other)


def test_a_broken_promise_is_a_violation(graph: StepGraph, made: Plan) -> None:
    content = json.loads(made.to_json())
    content["peak_bytes"] -= 4
    broken = tidemark.validate(graph, Plan.from_json(json.dumps(content)))

    assert broken is not None
    assert "peak" in broken.rule.lower()
    assert str(broken) == broken.sentence


def test_print_is_the_report_and_repr_one_line(made: Plan) -> None:
    assert str(made).startswith("fits      yes")
    assert str(made).splitlines()[-1].startswith("next: ")
    assert "\n" not in repr(made)
    loaded = Plan.from_json(made.to_json())
    assert "without a plan" in str(loaded)


def test_the_summary_has_what_the_command_promises(made: Plan) -> None:
    promised = (
        "budget_bytes peak_bytes floor_bytes least_feasible_bytes step_ns recompute_ns overhead "
        "lower_bound_ns policy plan_seconds num_ops num_values"
    )
    assert set(promised.split()) <= set(made.summary())


def test_the_least_feasible_budget_is_found_when_asked_for(graph: StepGraph, made: Plan) -> None:
    asked = tidemark.plan(graph, made.budget_bytes, least_feasible=True)

    assert made.least_feasible_bytes is None
    assert asked.least_feasible_bytes is not None
    assert asked.floor_bytes <= asked.least_feasible_bytes <= asked.peak_bytes
    least = tidemark.plan(graph, asked.least_feasible_bytes)
    assert least.peak_bytes <= asked.least_feasible_bytes


def test_the_frontier_spans_the_range_and_never_gets_slower(graph: StepGraph) -> None:
    curve = tidemark.frontier(graph, points=5)

    assert len(curve) == 5
    assert curve[-1].recompute_ns == 0
    assert curve[-1].budget_bytes == curve.unplanned_peak_bytes == graph.peak_bytes
    times = [made.recompute_ns for made in curve]
    assert times == sorted(times, reverse=True)
    assert curve[0].budget_bytes == curve.least_feasible_bytes >= curve.floor_bytes
    assert len(str(curve).splitlines()) == 6


def test_the_frontier_takes_budgets_and_tells_which_fit(graph: StepGraph) -> None:
    curve = tidemark.frontier(graph, ["1 KiB", graph.peak_bytes])

    assert [made.budget_bytes for made in curve] == [graph.peak_bytes]
    assert curve.infeasible_budgets == (1024,)
    assert json.loads(curve.to_json())[0]["overhead"] == 0.0


def test_a_report_takes_what_a_run_has_shown(graph: StepGraph, made: Plan) -> None:
    steps = tidemark.StepCounts(watched=2, planned=6)
    report = tidemark.make_report(graph, made, steps=steps, measured_peak_bytes=made.peak_bytes)

    assert report.fits
    assert report.to_dict()["steps"]["planned"] == 6
    assert "as predicted, to the byte" in str(report)
    assert report.peak_bytes == made.peak_bytes
