"""policy="exact": the optimum of small steps, and how near `auto` comes to it."""

from __future__ import annotations

import builtins
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import small_steps
import tidemark
from tidemark import BudgetInfeasible, Plan, StepGraph, _core, exact

STEP = Path(__file__).parent.parent / "data" / "mlp3.json"
SHARES = (0.1, 0.25, 0.5)


def random_step(seed: int, num_ops: int) -> StepGraph:
    """Returns a step of `num_ops` forward ops, every third one as other tools write them."""
    return StepGraph.from_json(small_steps.random_step(seed, num_ops, seed % 2 == 0, seed % 3 != 0))


def budgets_of(graph: StepGraph, shares: tuple[float, ...]) -> list[int]:
    """Returns budgets between the floor and the unplanned peak."""
    floor = tidemark.plan(graph, graph.peak_bytes, policy="keep_all").floor_bytes
    return [floor + int(share * (graph.peak_bytes - floor)) for share in shares]


def plan_or_none(graph: StepGraph, budget: int, policy: str, seconds: float = 10.0) -> Plan | None:
    try:
        made = tidemark.plan(graph, budget, policy=policy, time_limit=seconds)
    except BudgetInfeasible:
        return None
    assert tidemark.validate(graph, made) is None
    assert made.lower_bound_ns <= made.recompute_ns
    return made


def small_cases() -> Iterator[tuple[StepGraph, int, int | None]]:
    """Yields small steps, budgets, and what the best of all their plans computes again."""
    for seed in range(48):
        step = small_steps.random_step(seed, 3 + seed % 2, seed % 2 == 0, seed % 3 != 0)
        if not small_steps.is_small(step):
            continue
        graph = StepGraph.from_json(step)
        for budget in budgets_of(graph, (0.0, *SHARES)):
            yield graph, budget, small_steps.least_recompute(step, budget)


def test_exact_is_what_trying_all_plans_finds() -> None:
    num_budgets = num_certified = 0
    for graph, budget, best in small_cases():
        made = plan_or_none(graph, budget, "exact")
        assert (made and made.recompute_ns) == best, (graph, budget)
        num_budgets += 1
        num_certified += made is not None and made.lower_bound_ns == best
    assert num_budgets > 100
    assert num_certified > num_budgets // 2


@dataclass
class Comparison:
    """`auto` beside the optimum: how much longer its steps take, as parts of the optimum's."""

    gaps: list[float] = field(default_factory=list)
    num_steps: int = 0
    num_open: int = 0
    num_missed: int = 0

    def add_step(self, graph: StepGraph, shares: tuple[float, ...], seconds: float) -> None:
        before = len(self.gaps)
        for budget in budgets_of(graph, shares):
            self.add(graph, budget, seconds)
        self.num_steps += len(self.gaps) > before

    def add(self, graph: StepGraph, budget: int, seconds: float) -> None:
        answer = exact.solve(graph._handle, budget, seconds)
        if isinstance(answer.plan, _core.PlanFailure) or not answer.is_proven:
            self.num_open += 1
            return
        best = Plan(answer.plan, graph)
        assert tidemark.validate(graph, best) is None
        found = plan_or_none(graph, budget, "auto")
        if found is None:
            self.num_missed += 1
            return
        assert found.recompute_ns >= best.recompute_ns
        slower = found.recompute_ns - best.recompute_ns
        self.gaps.append(slower / (best.step_ns + best.recompute_ns))

    def __str__(self) -> str:
        optimal = sum(gap == 0 for gap in self.gaps)
        return (
            f"auto against the optimum: {len(self.gaps)} plans of {self.num_steps} steps, "
            f"{optimal} optimal, "
            f"{100 * statistics.mean(self.gaps):.2f} % slower on average, "
            f"{100 * max(self.gaps):.1f} % at most; no plan at {self.num_missed}; "
            f"{self.num_open} without one or not solved in time"
        )


def random_steps(seeds: range) -> Iterator[StepGraph]:
    """Yields those with 15 to 40 ops."""
    for seed in seeds:
        graph = random_step(seed, 4 + seed % 7)
        if 15 <= graph.num_ops <= 40:
            yield graph


def compare(seeds: range, shares: tuple[float, ...], seconds: float) -> Comparison:
    comparison = Comparison()
    for graph in random_steps(seeds):
        comparison.add_step(graph, shares, seconds)
    print(comparison)
    return comparison


def test_auto_is_near_the_optimum() -> None:
    comparison = compare(range(30), (0.5,), 20.0)

    assert len(comparison.gaps) >= 20
    assert statistics.mean(comparison.gaps) <= 0.02


# Most programmes are solved in a tenth of a second; those that take long are left out.
@pytest.mark.full
@pytest.mark.parametrize("first", [0, 1])
def test_auto_is_near_the_optimum_on_hundreds_of_steps(first: int) -> None:
    comparison = compare(range(first, 300, 2), SHARES, 4.0)

    assert comparison.num_steps >= 100
    assert len(comparison.gaps) >= 200
    assert statistics.mean(comparison.gaps) <= 0.02


def test_a_solver_out_of_time_gives_the_plan_of_auto() -> None:
    graph = tidemark.generate("resnet18", optimizer="none")
    (budget,) = budgets_of(graph, (0.3,))

    found = tidemark.plan(graph, budget, policy="exact", time_limit=0.5)

    assert found.peak_bytes <= budget
    assert found.recompute_ns >= found.lower_bound_ns > 0


def test_a_step_too_large_to_solve_gets_the_plan_of_auto_and_a_bound() -> None:
    graph = tidemark.generate("resnet152", optimizer="none")
    # Here "auto" ends by itself long before the limit, on a busy machine, too.
    budget = graph.peak_bytes * 6 // 10

    found = tidemark.plan(graph, budget, policy="exact", time_limit=10)

    assert tidemark.validate(graph, found) is None
    assert found.recompute_ns == tidemark.plan(graph, budget).recompute_ns
    assert found.recompute_ns > found.lower_bound_ns > 0


def test_several_moments_never_prove_more_than_there_is() -> None:
    num_programmes = num_tight = 0
    for graph, budget, best in small_cases():
        for parts in (1, 3, graph._handle.num_events):
            moments = _core.window_moments(graph._handle, budget, parts)
            model = _core.window_model(graph._handle, budget, moments)
            if best is None or not len(model.programme.cost):
                continue
            outcome = exact._run(model.programme, 10)
            # The solver's optimum is rounded up to whole nanoseconds.
            assert outcome.least_ns - 1 <= best, (graph, budget, parts)
            num_programmes += 1
            num_tight += outcome.least_ns >= best
    assert num_programmes > 200
    assert num_tight > num_programmes // 2


def test_a_few_moments_prove_far_more_than_one() -> None:
    graph = tidemark.generate("unet", optimizer="none")
    budget = graph.peak_bytes * 35 // 100
    known = tidemark.plan(graph, budget)

    proved = exact._prove(graph._handle, known._handle, 3)

    # One moment alone proves 7.5 % of the step's time, the plan takes 12.6 %.
    assert 0.107 * known.step_ns < proved.lower_bound_ns < known.recompute_ns


def test_no_plan_at_all_is_told_from_none_found() -> None:
    graph = StepGraph.load(STEP)
    floor = tidemark.plan(graph, graph.peak_bytes).floor_bytes

    with pytest.raises(BudgetInfeasible, match="has proved it") as caught:
        tidemark.plan(graph, floor - 1, policy="exact")
    assert not caught.value.timed_out
    assert caught.value.least_feasible_bytes >= floor


def test_what_exact_cannot_do_is_said() -> None:
    graph = StepGraph.load(STEP)

    with pytest.raises(ValueError, match="keep, recompute"):
        tidemark.plan(graph, "1 MiB", policy="exact", keep=["gelu"])
    with pytest.raises(ValueError, match="for each"):
        tidemark.frontier(graph, policy="exact")
    with pytest.raises(ValueError, match="for each"):
        tidemark.least_memory(graph, policy="exact")
    with pytest.raises(ValueError, match="for each"):
        tidemark.MemoryBudget("1 MiB", policy="exact")


def test_without_scipy_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "scipy":
            raise ImportError(f"No module named {name!r}")
        return real_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"pip install .*tidemark\[exact\]"):
        tidemark.plan(StepGraph.load(STEP), "1 MiB", policy="exact")
