"""torch.profiler sees the same allocations and frees with Tidemark on."""

from __future__ import annotations

from contextlib import nullcontext

import counting_allocator
import pytest
import tidemark
import torch
from counted_runs import train
from training_loops import LOOPS

STEPS = 4


@pytest.fixture(scope="module", autouse=True)
def stock_allocator(counter: None) -> None:
    """Torch's own allocator lies under Tidemark's: the tests' reports to no profiler."""
    counting_allocator.uninstall()


def allocations_of(profile: torch.profiler.profile) -> list[int]:
    """Bytes of every allocation (above 0) and free (below), in order."""
    events = profile.profiler.kineto_results.events()
    return [event.nbytes() for event in events if event.name() == "[memory]"]


def profiled_steps(name: str, budget: tidemark.MemoryBudget | None) -> list[list[int]]:
    torch.manual_seed(0)
    loop = LOOPS[name]()
    steps = []
    for _ in range(STEPS):
        x, y = loop.next_batch()
        step = budget.step() if budget is not None else nullcontext()
        with torch.profiler.profile(profile_memory=True) as profile, step:
            train(loop, x, y)
        steps.append(allocations_of(profile))
    return steps


@pytest.mark.parametrize("name", ["gpt", "resnet"])
def test_watched_and_planned_steps_are_profiled_as_stock_ones(name: str) -> None:
    expected = profiled_steps(name, None)
    with tidemark.MemoryBudget(None) as budget:
        found = profiled_steps(name, budget)
        assert budget.steps.watched == 2
        assert budget.steps.planned == STEPS - 2
    after = profiled_steps(name, None)

    assert min(map(len, expected)) > 100
    assert found == expected
    assert after == expected


def test_what_a_plan_drops_and_restores_is_profiled_to_the_byte() -> None:
    with tidemark.MemoryBudget(None) as budget:
        profiled_steps("gpt", budget)
        peak = budget.peak_bytes

    with tidemark.MemoryBudget(peak * 3 // 4) as budget:
        found = profiled_steps("gpt", budget)
        last, graph, plan = budget.last_step, budget.graph, budget.plan
    assert graph is not None
    assert plan is not None
    assert last.num_replays > 0

    at_entry = tidemark.simulate(graph, plan).curve[0][0] + last.promised_bytes - plan.peak_bytes
    assert at_entry + highest_rise(found[-1]) == last.peak_bytes < peak


def highest_rise(allocations: list[int]) -> int:
    live = highest = 0
    for bytes_ in allocations:
        live += bytes_
        highest = max(highest, live)
    return highest
