"""Batches of several sizes: exact, inside, and each form of the step planned once."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
import tidemark
import torch
from compatibility import all_rows
from compatibility.harness import find_range, state_of
from compatibility.rows import Program
from counted_runs import Run, Step, assert_equal, run, train
from training_loops import LOOPS, Loop, tokens

pytestmark = pytest.mark.usefixtures("counter")


def alternating_lengths() -> Loop:
    loop, steps = LOOPS["gpt"](), count()
    loop.next_batch = lambda: tokens(8, 64 if next(steps) % 2 else 32)
    return loop


def smaller_last_batch() -> Loop:
    """Four batches per epoch, the last of five instead of sixteen."""
    loop, steps = LOOPS["resnet"](), count()

    def next_batch() -> tuple[torch.Tensor, torch.Tensor]:
        size = 5 if next(steps) % 4 == 3 else 16
        return torch.randn(size, 3, 32, 32), torch.randint(0, 10, (size,))

    loop.next_batch = next_batch
    return loop


def growing_lengths() -> Loop:
    """A curriculum: nothing of the plan for short texts helps the first long one."""
    loop, steps = LOOPS["gpt"](), count()
    loop.next_batch = lambda: tokens(8, 16 * (1 + min(next(steps) // 4, 3)))
    return loop


def half_of_the_largest_range(make: Callable[[], Loop], stock: Run, step: Step = train) -> int:
    """Returns the budget, from the last step with the highest peak."""
    last = max(range(len(stock.counted)), key=lambda i: (stock.counted[i], i))
    with tidemark.MemoryBudget(None) as budget:
        run(make, budget, last + 1, step)
        graph = budget.graph
    assert graph is not None
    return (tidemark.frontier(graph, points=2).least_feasible_bytes + graph.peak_bytes) // 2


@pytest.mark.parametrize(
    ("make", "adapted"),
    [
        (alternating_lengths, [2]),
        (smaller_last_batch, [3, 4]),
        (growing_lengths, [4, 5, 8, 9, 12, 13]),
    ],
)
def test_steps_of_changing_sizes_are_exact_inside_and_planned_once(
    make: Callable[[], Loop], adapted: list[int]
) -> None:
    stock = run(make, None, 16)
    memory = half_of_the_largest_range(make, stock)

    with tidemark.MemoryBudget(memory) as budget:
        found = run(make, budget, 16)

    assert_equal(found, stock)
    assert max(found.counted) <= memory
    for number, (summary, counted) in enumerate(zip(found.summaries, found.counted, strict=True)):
        if number < 2:
            assert summary.kind == "watched"
        elif number in adapted:
            assert summary.kind == "adapted"
            assert "other sizes" in summary.difference or "entry state" in summary.difference
        else:
            assert summary.kind == "planned", summary
            assert summary.peak_bytes == summary.promised_bytes == counted
    assert budget.num_variants == 2 + len(adapted)
    assert budget.num_cache_hits == 16 - budget.num_variants


def test_a_step_that_leaves_a_plan_without_drops_is_held_to_the_budget() -> None:
    # All begin alike and make their batch inside; nothing of a short step had to be taped.
    def make() -> Loop:
        loop, steps = LOOPS["gpt"](), count()
        loop.next_batch = lambda: (torch.tensor(8 if next(steps) < 5 else 64), torch.zeros(()))
        return loop

    def step(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
        train(loop, *tokens(8, int(x)))

    stock = run(make, None, 10, step)
    memory = half_of_the_largest_range(make, stock, step)
    with tidemark.MemoryBudget(memory) as budget:
        found = run(make, budget, 10, step)

    kinds = [summary.kind for summary in found.summaries]
    assert_equal(found, stock)
    assert max(found.counted) <= memory
    assert kinds[:5] == ["watched"] * 2 + ["planned"] * 3
    assert found.summaries[4].num_replays == 0
    assert kinds[5] == "adapted"
    assert kinds[8:] == ["planned"] * 2


def test_forms_that_take_turns_are_foreseen() -> None:
    """Two models in turn begin alike, and either plan acts before they differ."""
    row = all_rows()["models_in_turn"]
    known = find_range(row)
    memory = known.budget_at(0.6)

    with tidemark.MemoryBudget(memory) as budget:
        found = run(row.make, budget, 14, Program.train, state_of)

    assert max(found.counted) <= memory
    assert [summary.kind for summary in found.summaries[8:]] == ["planned"] * 6
    assert all(summary.num_replays > 0 for summary in found.summaries[8:])
