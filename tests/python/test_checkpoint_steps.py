"""tidemark.checkpoint inside the steps of a budget: exact, inside, planned to the byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import tidemark
import torch
from torch import nn
from training_loops import LOOPS

Tensors = list[torch.Tensor]

pytestmark = pytest.mark.usefixtures("counter")


def plainly(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return fn(*args, **kwargs)


def same(found: Tensors, expected: Tensors) -> bool:
    return all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


class Checkpointed(nn.Module):
    def __init__(self, inner: nn.Module, checkpoint: Callable[..., Any]) -> None:
        super().__init__()
        self.inner, self.checkpoint = inner, checkpoint

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.checkpoint(self.inner, x)


@dataclass
class Run:
    """What a loop left behind, how its steps went, and the last one as data."""

    state: Tensors
    steps: list[Any]
    graph: tidemark.StepGraph | None


def train(
    checkpoint: Callable[..., Any], memory: int | None = None, plan: tidemark.Plan | None = None
) -> Run:
    torch.manual_seed(0)
    loop = LOOPS["gpt"]()
    for i in (1, 2):
        loop.model.blocks[i] = Checkpointed(loop.model.blocks[i], checkpoint)
    steps = []
    with tidemark.MemoryBudget(memory, plan=plan) as budget:
        for _ in range(5):
            x, y = loop.next_batch()
            with budget.step():
                loop.optimizer.zero_grad()
                logits = loop.model(x)
                loss = loop.loss(logits, y)
                loss.backward()
                loop.optimizer.step()
            steps.append(budget.last_step)
        graph = budget.graph
    parameters = (p.detach() for p in loop.model.parameters())
    return Run([loss.detach(), torch.get_rng_state(), *parameters], steps, graph)


def test_steps_of_a_budget_are_exact_inside_and_planned() -> None:
    stock = train(plainly)
    free = train(tidemark.checkpoint)
    assert free.graph is not None
    least = tidemark.frontier(free.graph, points=2).least_feasible_bytes
    assert least < free.graph.peak_bytes < stock.graph.peak_bytes
    memory = (least + free.graph.peak_bytes) // 2
    held = train(tidemark.checkpoint, memory, tidemark.plan(free.graph, memory))

    assert same(free.state, stock.state)
    assert same(held.state, stock.state)
    assert max(step.peak_bytes for step in held.steps) <= memory
    assert held.steps[-1].num_replays > 0
    for step in free.steps[2:] + held.steps[2:]:
        assert step.kind == "planned", step.difference
        assert step.peak_bytes == step.promised_bytes
