"""Planned steps that find more memory in use than their plan knows of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tidemark
import torch
from counted_runs import assert_equal, run, train
from training_loops import LOOPS, Loop

Find = Callable[[torch.Tensor], torch.Tensor]

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


@pytest.mark.parametrize("name", ["gpt", "resnet", "unet", "mlp", "cells"])
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


FINDS: dict[str, Find] = {
    "nonzero": lambda values: values.nonzero(),
    "masked_select": lambda values: values.masked_select(values > 0),
    "unique": lambda values: values.unique(),
    "sort": lambda values: values[values > 0].sort().values,
}


class Found(torch.autograd.Function):
    """Its backward takes memory by what it finds: shapes and ops before it say nothing of that."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, find: Find) -> torch.Tensor:
        ctx.find = find
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (x,) = ctx.saved_tensors
        found = [ctx.find(x) for _ in range(4)]
        return gradient * x.cos() + len(found[0]) / x.numel(), None


class MoreFoundLater:
    """From the sixth step on all values are found, none before."""

    def __init__(self, find: Find) -> None:
        self.find = find
        self.num_steps = 0

    def __call__(self, loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
        self.num_steps += 1
        loop.optimizer.zero_grad()
        values = (loop.model(x) + (99 if self.num_steps > 5 else -99)).relu()
        loop.named.loss = Found.apply(values, self.find).square().mean()
        loop.named.loss.backward()
        loop.optimizer.step()


def one_layer() -> Loop:
    model = torch.nn.Linear(64, 512)
    batch = torch.rand(256, 64), torch.zeros(())
    return Loop(model, torch.optim.SGD(model.parameters(), lr=0.1), lambda: batch)


@pytest.mark.parametrize("room", [0, 1 << 24])
@pytest.mark.parametrize("name", FINDS)
def test_a_peak_that_depends_on_values_is_promised_only_where_it_is_kept(
    name: str, room: int
) -> None:
    stock = run(one_layer, None, 10, MoreFoundLater(FINDS[name]))
    memory = max(stock.counted) + room

    with tidemark.MemoryBudget(memory) as budget:
        found = run(one_layer, budget, 10, MoreFoundLater(FINDS[name]))

    assert_equal(found, stock)
    assert max(found.counted) <= memory
    kinds = [summary.kind for summary in found.summaries]
    assert kinds[2:5] == ["planned"] * 3
    assert kinds[5] != "planned"
    assert "promised" in found.summaries[5].difference
    assert kinds[8:] == ["planned"] * 2  # a step watched since knows what it takes
    for summary, counted in zip(found.summaries, found.counted, strict=True):
        assert summary.peak_bytes == counted
        assert summary.kind != "planned" or summary.promised_bytes == counted
