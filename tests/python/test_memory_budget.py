"""Steps under a budget: exact, inside, planned from the third on, and a clear no."""

from __future__ import annotations

import gc
import json
import os
from collections import Counter
from dataclasses import dataclass

import counting_allocator
import pytest
import tidemark
import torch
from conftest import NoteWatched
from counted_runs import Run, assert_equal, assert_planned, run, snapshot, train
from training_loops import LOOPS, Loop

SHARES = (0.0, 0.3, 0.5, 0.7, 0.9) if os.environ.get("TIDEMARK_TEST_ALL") else (0.0, 0.5)


pytestmark = pytest.mark.usefixtures("counter")


@dataclass
class Case:
    """A loop's name, its stock run, its step and the least feasible budget."""

    name: str
    stock: Run
    graph: tidemark.StepGraph
    least: int


@pytest.fixture(scope="module", params=sorted(LOOPS))
def case(request: pytest.FixtureRequest) -> Case:
    """A loop run by stock torch, and its step as data."""
    make = LOOPS[request.param]
    stock = run(make, None)
    with tidemark.MemoryBudget(None) as budget:
        run(make, budget, 4)
        graph = budget.graph
    assert graph is not None
    least = tidemark.frontier(graph, points=2).least_feasible_bytes
    return Case(request.param, stock, graph, least)


def test_range_is_at_least_a_quarter_of_the_peak(case: Case) -> None:
    unplanned = case.graph.peak_bytes

    assert unplanned - case.least >= 0.25 * unplanned


def test_keeping_everything_adds_nothing_to_the_peak(case: Case) -> None:
    name, stock = case.name, case.stock
    with tidemark.MemoryBudget(None) as budget:
        kept = run(LOOPS[name], budget)

    assert_equal(kept, stock)
    assert kept.counted == stock.counted
    assert case.graph.peak_bytes == stock.counted[-1]


@pytest.mark.parametrize("share", SHARES)
def test_steps_are_exact_inside_and_planned(case: Case, share: float) -> None:
    name, stock = case.name, case.stock
    memory = int(case.least + share * (case.graph.peak_bytes - case.least))
    # Below half the range a watched step may not fit; a plan made before serves the first steps.
    plan = tidemark.plan(case.graph, memory) if share < 0.5 else None

    with tidemark.MemoryBudget(memory, plan=plan) as budget:
        found = run(LOOPS[name], budget)

    assert_equal(found, stock)
    assert_planned(found, memory)
    assert budget.plan is not None
    assert found.summaries[-1].num_replays == budget.plan.num_replays


def watch(
    budget: tidemark.MemoryBudget, loop: Loop, x: torch.Tensor, y: torch.Tensor
) -> int | None:
    """Runs one step and returns the bytes missing, if any were."""
    try:
        with budget.step():
            train(loop, x, y)
    except tidemark.BudgetExceeded as error:
        return error.missing_bytes
    return None


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_watched_step_is_inside_or_says_what_is_missing(
    case: Case, share: float, note_watched: NoteWatched
) -> None:
    memory = int(case.least + share * (case.graph.peak_bytes - case.least))
    gc.collect()
    before = counting_allocator.live()
    torch.manual_seed(0)
    with tidemark.MemoryBudget(memory) as budget:
        loop = LOOPS[case.name]()
        for _ in range(2):
            x, y = loop.next_batch()
            counting_allocator.reset_peak()
            missing = watch(budget, loop, x, y)
            note_watched(share, missing is None)
            assert missing is None or missing > 0
            assert counting_allocator.peak() - before <= memory


def test_a_step_watched_under_pressure_is_recorded_as_if_all_were_kept(case: Case) -> None:
    # An in-place op that was replayed used to leave its block at the version before.
    memory = int(case.least + 0.5 * (case.graph.peak_bytes - case.least))
    with tidemark.MemoryBudget(memory) as budget:
        run(LOOPS[case.name], budget, 2)
        graph = budget.graph

    assert graph is not None
    assert graph.peak_bytes == case.graph.peak_bytes


class Scaled(torch.nn.Module):
    """Scales each sample by what an op that is never computed again has looked up."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model
        self.scales = torch.linspace(0.5, 1.5, 256)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x * self.scales[torch.randint(0, 256, (len(x),))].unsqueeze(1))


def test_what_cannot_be_made_again_keeps_only_itself() -> None:
    # Its last reader's result is saved; no value made from that could be given back.
    def make() -> Loop:
        loop = LOOPS["mlp"]()
        loop.model = Scaled(loop.model)
        return loop

    stock = run(make, None)
    memory = int(0.6 * stock.counted[-1])
    with tidemark.MemoryBudget(memory) as budget:
        found = run(make, budget)

    assert_equal(found, stock)
    assert_planned(found, memory)


def test_weights_are_parameters_in_the_report() -> None:
    torch.manual_seed(0)
    loop = LOOPS["mlp"]()
    weights = sum(p.untyped_storage().nbytes() for p in loop.model.parameters())
    x, y = loop.next_batch()

    graph = tidemark.record(lambda: loop.loss(loop.model(x), y).backward())
    entry = json.loads(graph.to_json())["entry"]

    assert entry["bytes_by_category"]["Parameter"] == weights


def test_weights_and_statistics_belong_to_the_module_that_reads_them() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step() -> None:
        model(torch.ones(3, 4)).sum().backward()
        optimizer.step()

    step()
    graph = tidemark.record(step)

    owned: Counter[tuple[str, str]] = Counter()
    for value in json.loads(graph.to_json())["values"]:
        if value.get("version", 0) == 0:
            owned[value["category"], value.get("scope", "")] += value["bytes"]
    assert owned["Parameter", "0"] == 4 * (4 * 8 + 8)
    assert owned["Parameter", "1"] == 4 * 2 * 8
    assert owned["Buffer", "1"] == 4 * 2 * 8 + 8
    report = str(tidemark.report.make_report(graph))
    assert "(unknown)" not in report
    assert "(Optstate)" in report


def test_a_saved_tensor_without_elements_is_recorded() -> None:
    # Nothing is allocated for it, so nobody sees it die; it was taken to live for ever.
    weight = torch.nn.Parameter(torch.ones(4))

    def step() -> None:
        x = torch.ones(0, 4) * weight
        (x * x).sum().backward()

    assert tidemark.record(step).num_ops > 5


def test_a_budget_below_the_floor_is_refused_before_anything_runs() -> None:
    torch.manual_seed(0)
    loop = LOOPS["mlp"]()

    def step() -> None:
        x, y = loop.next_batch()
        loop.loss(loop.model(x), y).backward()
        loop.optimizer.step()
        loop.optimizer.zero_grad()

    graph = tidemark.record(step)
    before = snapshot(loop)

    with pytest.raises(tidemark.BudgetInfeasible) as refused:
        tidemark.plan(graph, 1000)

    assert refused.value.least_feasible_bytes >= refused.value.floor_bytes > 1000
    with (
        tidemark.MemoryBudget(1000) as budget,
        pytest.raises(tidemark.BudgetExceeded) as exceeded,
        budget.step(),
    ):
        step()
    assert exceeded.value.missing_bytes > 0
    assert not exceeded.value.optimizer_has_begun
    after = snapshot(loop)
    assert all(torch.equal(a, b) for a, b in zip(before[1:], after[1:], strict=False))


def test_a_step_inside_a_step_is_an_error() -> None:
    with (
        tidemark.MemoryBudget(None) as budget,
        budget.step(),
        pytest.raises(RuntimeError, match="inside a step"),
        budget.step(),
    ):
        pass


def test_an_exception_in_the_middle_leaves_nothing_behind() -> None:
    torch.manual_seed(0)
    loop = LOOPS["resnet"]()

    def fail_after_forward(budget: tidemark.MemoryBudget) -> None:
        with budget.step():
            x, y = loop.next_batch()
            loop.loss(loop.model(x), y)
            raise KeyError("the user's")

    live = []
    gc.freeze()  # what was imported would be searched a hundred times
    with tidemark.MemoryBudget(None) as budget:
        for _ in range(100):
            with pytest.raises(KeyError):
                fail_after_forward(budget)
            gc.collect()
            live.append(counting_allocator.live())

    gc.unfreeze()
    assert live[1:] == live[:-1]


def test_the_allocator_is_given_back() -> None:
    assert counting_allocator.is_current()

    budget = tidemark.MemoryBudget("1 GiB")
    assert not counting_allocator.is_current()
    budget.close()

    assert counting_allocator.is_current()
