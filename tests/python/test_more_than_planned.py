"""Planned steps that find more memory in use than their plan knows of."""

from __future__ import annotations

import numpy as np
import pytest
import tidemark
import torch
from counted_runs import assert_equal, run, train
from training_loops import LOOPS, Loop

pytestmark = pytest.mark.usefixtures("counter")


class LargerMemoryLater:
    """From the fifth step on the batch lies in more of numpy's memory than it fills."""

    def __init__(self, extra_bytes: int) -> None:
        self.extra_bytes = extra_bytes
        self.num_steps = 0

    def __call__(self, loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
        self.num_steps += 1
        extra = self.extra_bytes if self.num_steps > 4 else 0
        memory = np.zeros(x.numel() + extra // x.element_size(), x.numpy().dtype)
        memory[: x.numel()] = x.numpy().reshape(-1)
        train(loop, torch.from_numpy(memory)[: x.numel()].view(x.shape), y)


@pytest.mark.parametrize("name", ["gpt", "resnet", "unet"])
def test_room_is_made_and_what_the_plan_dropped_still_comes_back(name: str) -> None:
    with tidemark.MemoryBudget(None) as budget:
        run(LOOPS[name], budget, 4, LargerMemoryLater(0))
        graph = budget.graph
    assert graph is not None
    least = tidemark.frontier(graph, points=2).least_feasible_bytes
    memory = least + (graph.peak_bytes - least) // 2
    plan = tidemark.plan(graph, memory)
    extra_bytes = (graph.peak_bytes - least) // 8 + memory - plan.peak_bytes
    stock = run(LOOPS[name], None, 8, LargerMemoryLater(extra_bytes))

    with tidemark.MemoryBudget(memory, plan=plan) as budget:
        found = run(LOOPS[name], budget, 8, LargerMemoryLater(extra_bytes))

    assert_equal(found, stock)
    assert all(summary.peak_bytes <= memory for summary in found.summaries)
    assert found.summaries[4].kind == "adapted"
    assert found.summaries[4].difference == "more was alive than was planned for"
