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

SWITCHES = ("arena", "in_backward", "inplace", "budget", "debug")
STEPS = 20
DEBUGGED = range(12, 15)


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
            is_debugged = "debug" in on and index in DEBUGGED
            with (
                tidemark.debug() if is_debugged else nullcontext(),
                budget.step() if budget is not None else nullcontext(),
            ):
                step()
    if budget is not None:
        num_watched = 2 + len(DEBUGGED) if "debug" in on else 2
        assert budget.steps.planned == STEPS - num_watched
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
    "on", [on for k in range(1, 6) for on in itertools.combinations(SWITCHES, k)], ids="+".join
)
def test_n16_every_combination_gives_the_same_bits(on: tuple[str, ...]) -> None:
    assert all(torch.equal(a, b) for a, b in zip(train(*on), stock(), strict=True))


def hold_inputs(model: Net, held: dict[str, torch.Tensor]) -> None:
    """Holds what every module reads, and what it read as it was."""

    def hold(module: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        held[f"{type(module).__name__} {id(module)}"] = args[0]
        held[f"{type(module).__name__} {id(module)} copied"] = args[0].detach().clone()

    for module in model.children():
        module.register_forward_pre_hook(hold, prepend=True)


def test_n16_debugging_switches_everything_off_and_all_can_be_read() -> None:
    model = copy.deepcopy(initial())
    graph = tidemark.record(lambda: copy.deepcopy(initial())(X).square().mean().backward())
    assert tidemark.inplace(model, graph).switched
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    held: dict[str, torch.Tensor] = {}

    def step(budget: tidemark.MemoryBudget) -> None:
        with budget.step():
            optimizer.zero_grad()
            model(X).square().mean().backward()
            optimizer.step()

    with (
        tidemark.optimizer_in_backward(optimizer),
        tidemark.MemoryBudget(None, arena="on") as budget,
    ):
        for _ in range(6):
            step(budget)
        served = budget.arena.num_served
        assert served > 0
        tighten(budget)
        step(budget)
        assert budget.last_step.kind == "planned"
        assert budget.last_step.num_replays > 0
        assert all(p.grad is None for p in model.parameters())

        hold_inputs(model, held)
        with tidemark.debug():
            step(budget)

        assert budget.last_step.kind == "watched"
        assert budget.last_step.num_replays == 0
        assert budget.arena.num_served == served
        assert all(p.grad is not None for p in model.parameters())
        names = [name for name in held if not name.endswith("copied")]
        assert len(names) == len([*model.children()]) - 1  # one of them is never called
        assert all(torch.equal(held[name], held[f"{name} copied"]) for name in names)


def test_n16_debugging_runs_a_checkpointed_function_once() -> None:
    runs = []

    def fn(x: torch.Tensor) -> torch.Tensor:
        runs.append(x)
        return x.exp()

    with tidemark.debug():
        tidemark.checkpoint(fn, X.clone().requires_grad_()).sum().backward()

    assert len(runs) == 1
