"""Steps under a budget: exact, inside, planned from the third on, and a clear no."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field

import counting_allocator
import pytest
import tidemark
import torch
from training_loops import LOOPS, Loop

STEPS = 8
SHARES = (0.0, 0.3, 0.5, 0.7, 0.9) if os.environ.get("TIDEMARK_TEST_ALL") else (0.0, 0.5)


@pytest.fixture(scope="module", autouse=True)
def counter() -> Iterator[None]:
    counting_allocator.install()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass
class Run:
    """What a loop left behind, and what was seen of it."""

    state: list[list[torch.Tensor]] = field(default_factory=list)
    counted: list[int] = field(default_factory=list)
    summaries: list[object] = field(default_factory=list)


@dataclass
class Case:
    """A loop's name, its stock run, its step and the least feasible budget."""

    name: str
    stock: Run
    graph: tidemark.StepGraph
    least: int


def run(make: Callable[[], Loop], budget: tidemark.MemoryBudget | None, steps: int = STEPS) -> Run:
    """Trains as people write it: `logits` and `loss` live until the next iteration."""
    gc.collect()
    result = Run()
    before = counting_allocator.live()
    torch.manual_seed(0)
    loop = make()
    held = 0  # bytes of the snapshots below, which are not the loop's
    for _ in range(steps):
        x, y = loop.next_batch()
        counting_allocator.reset_peak()
        with budget.step() if budget is not None else nullcontext():
            loop.optimizer.zero_grad()
            logits = loop.model(x)
            loss = loop.loss(logits, y)
            loss.backward()
            loop.optimizer.step()
        result.counted.append(counting_allocator.peak() - before - held)
        if budget is not None:
            result.summaries.append(budget.last_step)
        at = counting_allocator.live()
        result.state.append(snapshot(loop.model, loss))
        held += counting_allocator.live() - at
    return result


def snapshot(model: torch.nn.Module, loss: torch.Tensor) -> list[torch.Tensor]:
    # In memory that no allocator of ours counts.
    tensors = [loss.detach(), torch.get_rng_state(), *model.parameters(), *model.buffers()]
    tensors += [p.grad for p in model.parameters() if p.grad is not None]
    return [torch.from_numpy(t.detach().numpy().copy()) for t in tensors]


def assert_equal(found: Run, expected: Run) -> None:
    for step, (a, b) in enumerate(zip(found.state, expected.state, strict=True)):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True)), f"step {step} differs"


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
    assert max(found.counted) <= memory
    for summary, counted in list(zip(found.summaries, found.counted, strict=True))[2:]:
        assert summary.kind == "planned", summary
        assert summary.peak_bytes == summary.promised_bytes == counted
    assert budget.plan is not None
    assert found.summaries[-1].num_replays == budget.plan.num_replays


def test_a_step_watched_under_pressure_is_recorded_as_if_all_were_kept(case: Case) -> None:
    # An in-place op that was replayed used to leave its block at the version before.
    memory = int(case.least + 0.5 * (case.graph.peak_bytes - case.least))
    with tidemark.MemoryBudget(memory) as budget:
        run(LOOPS[case.name], budget, 2)
        graph = budget.graph

    assert graph is not None
    assert graph.peak_bytes == case.graph.peak_bytes


def test_weights_are_parameters_in_the_report() -> None:
    torch.manual_seed(0)
    loop = LOOPS["mlp"]()
    weights = sum(p.untyped_storage().nbytes() for p in loop.model.parameters())
    x, y = loop.next_batch()

    graph = tidemark.record(lambda: loop.loss(loop.model(x), y).backward())
    entry = json.loads(graph.to_json())["entry"]

    assert entry["bytes_by_category"]["Parameter"] == weights


def test_a_budget_below_the_floor_is_refused_before_anything_runs() -> None:
    torch.manual_seed(0)
    loop = LOOPS["mlp"]()

    def step() -> None:
        x, y = loop.next_batch()
        loop.loss(loop.model(x), y).backward()
        loop.optimizer.step()
        loop.optimizer.zero_grad()

    graph = tidemark.record(step)
    before = snapshot(loop.model, torch.zeros(()))

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
    after = snapshot(loop.model, torch.zeros(()))
    assert all(torch.equal(a, b) for a, b in zip(before[2:], after[2:], strict=False))


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
    with tidemark.MemoryBudget(None) as budget:
        for _ in range(100):
            with pytest.raises(KeyError):
                fail_after_forward(budget)
            gc.collect()
            live.append(counting_allocator.live())

    assert live[1:] == live[:-1]


def test_the_allocator_is_given_back() -> None:
    assert counting_allocator.is_current()

    budget = tidemark.MemoryBudget("1 GiB")
    assert not counting_allocator.is_current()
    budget.close()

    assert counting_allocator.is_current()


def test_unusual_steps_work() -> None:
    torch.manual_seed(0)
    loop = LOOPS["mlp"]()
    with tidemark.MemoryBudget(None) as budget:
        for _ in range(4):
            x, y = loop.next_batch()
            with budget.step():  # no backward
                loop.model(x)
            with budget.step(), torch.no_grad():
                loop.model(x)
            with budget.step():  # twice through one graph
                loss = loop.loss(loop.model(x), y)
                loss.backward(retain_graph=True)
                loss.backward()
            with budget.step():  # accumulation
                for part_x, part_y in zip(x.chunk(4), y.chunk(4), strict=True):
                    loop.loss(loop.model(part_x), part_y).backward()
                loop.optimizer.step()
                loop.optimizer.zero_grad()
            with budget.step():
                weight = next(loop.model.parameters())
                torch.autograd.grad(loop.loss(loop.model(x), y), [weight])

    counts = budget.steps
    assert counts.watched + counts.planned + counts.adapted + counts.diverged == 20
    assert counts.planned >= 4


@pytest.mark.parametrize("share", [0.5])
def test_alternating_lengths_are_exact_and_inside(share: float) -> None:
    def make() -> Loop:
        loop = LOOPS["gpt"]()
        lengths = iter(range(1000))

        def next_batch() -> tuple[torch.Tensor, torch.Tensor]:
            time = 64 if next(lengths) % 2 else 32
            return torch.randint(0, 100, (8, time)), torch.randint(0, 100, (8 * time,))

        loop.next_batch = next_batch
        return loop

    stock = run(make, None, 10)
    memory = int(share * max(stock.counted))
    with tidemark.MemoryBudget(memory) as budget:
        found = run(make, budget, 10)

    assert_equal(found, stock)
    assert max(found.counted) <= memory
    assert budget.steps.planned >= 4
    assert budget.steps.diverged == 0


def test_the_counter_agrees_with_the_profiler() -> None:
    loop = LOOPS["mlp"]()
    x, y = loop.next_batch()

    def allocated(budget: tidemark.MemoryBudget | None) -> int:
        step = budget.step() if budget is not None else nullcontext()
        with torch.profiler.profile(profile_memory=True) as profile, step:
            loop.loss(loop.model(x), y).backward()
            loop.optimizer.zero_grad()
        return sum(max(0, e.self_cpu_memory_usage) for e in profile.events())

    expected = allocated(None)
    with tidemark.MemoryBudget(None) as budget:
        found = allocated(budget)
    assert found == expected
