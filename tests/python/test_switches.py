"""Row N16: whatever is switched on, losses and weights are the same bits over twenty steps."""

from __future__ import annotations

import copy
import itertools
from contextlib import nullcontext
from functools import cache
from typing import Any

import pytest
import tidemark
import torch
from test_rewriting import Net, X
from torch import nn

SWITCHES = ("arena", "in_backward", "inplace", "budget")
STEPS = 20


@cache
def initial() -> nn.Module:
    torch.manual_seed(0)
    return Net()


def train(*on: str) -> list[torch.Tensor]:
    """Trains twenty steps with some of the switches on; none: stock torch."""
    model = copy.deepcopy(initial())
    if "inplace" in on:
        probe = copy.deepcopy(model)
        graph = tidemark.record(lambda: probe(X).square().mean().backward())
        assert tidemark.inplace(model, graph).switched
    torch.manual_seed(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    updates = tidemark.optimizer_in_backward(optimizer) if "in_backward" in on else nullcontext()
    arena: Any = "poison" if "arena" in on else "off"
    budget = tidemark.MemoryBudget(None, arena=arena) if {"arena", "budget"} & {*on} else None
    losses = []

    def step() -> None:
        loss = model(X).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())

    with updates:
        for index in range(STEPS):
            if "budget" in on and index == 6:
                tighten(budget)
            with budget.step() if budget is not None else nullcontext():
                step()
    if budget is not None:
        assert budget.steps.planned == STEPS - 2
        assert ("arena" in on) == (budget.arena.num_served > 0)
        assert budget.arena.num_fallen_back == 0
        budget.close()
    return [torch.tensor(losses), *model.state_dict().values()]


def tighten(budget: tidemark.MemoryBudget | None) -> None:
    """Holds the steps that follow to half of what can be saved."""
    assert budget is not None
    graph = budget.graph
    assert graph is not None
    least = tidemark.frontier(graph, points=2).least_feasible_bytes
    budget.set_memory((least + graph.peak_bytes) // 2)


@cache
def stock() -> list[torch.Tensor]:
    return train()


@pytest.mark.parametrize(
    "on", [on for k in range(1, 5) for on in itertools.combinations(SWITCHES, k)], ids="+".join
)
def test_n16_every_combination_gives_the_same_bits(on: tuple[str, ...]) -> None:
    assert all(torch.equal(a, b) for a, b in zip(train(*on), stock(), strict=True))
