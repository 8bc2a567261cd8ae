"""What a step does after its last backward: planned steps look away, and notice surprises."""

from __future__ import annotations

import pytest
import tidemark
import torch
from counted_runs import Step, assert_equal, assert_planned, run, train
from training_loops import LOOPS, Loop

pytestmark = pytest.mark.usefixtures("counter")

MiB = 2**20


def evaluated(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
    """Ends with a forward pass whose graph nobody asks for."""
    train(loop, x, y)
    loop.named.accuracy = loop.loss(loop.model(x), y)


class EveryThird:
    """Now and then takes memory after the optimizer, more than anything before it did."""

    def __init__(self, extra_bytes: int) -> None:
        self.extra_bytes = extra_bytes
        self.num_steps = 0

    def __call__(self, loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
        train(loop, x, y)
        self.num_steps += 1
        if self.num_steps % 3 == 0:
            loop.named.sum = torch.ones(self.extra_bytes // 4).cumsum(0)[-1].clone()


def half_of_the_range(step: Step) -> int:
    with tidemark.MemoryBudget(None) as budget:
        run(LOOPS["gpt"], budget, 4, step)
        graph = budget.graph
    assert graph is not None
    least = tidemark.frontier(graph, points=2).least_feasible_bytes
    return (least + graph.peak_bytes) // 2


def test_a_forward_pass_at_the_end_is_planned_like_the_rest() -> None:
    stock = run(LOOPS["gpt"], None, step=evaluated)
    memory = half_of_the_range(evaluated)

    with tidemark.MemoryBudget(memory) as budget:
        found = run(LOOPS["gpt"], budget, step=evaluated)

    assert_equal(found, stock)
    assert_planned(found, memory)


def test_a_tail_that_is_longer_now_and_then_gets_a_plan_of_its_own() -> None:
    steps, extra_bytes = 30, 16 * MiB
    stock = run(LOOPS["gpt"], None, steps, EveryThird(extra_bytes))
    memory = max(stock.counted)

    with tidemark.MemoryBudget(memory) as budget:
        found = run(LOOPS["gpt"], budget, steps, EveryThird(extra_bytes))

    assert_equal(found, stock)
    assert max(found.counted) <= memory
    assert found.summaries[2].kind == "diverged"
    assert found.summaries[2].difference == "the peak differs from the promised one"
    for summary, counted in list(zip(found.summaries, found.counted, strict=True))[-9:]:
        assert summary.kind == "planned", summary
        assert summary.peak_bytes == summary.promised_bytes == counted
