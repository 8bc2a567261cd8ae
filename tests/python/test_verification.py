"""verify: what it finds equal, what it names, and that looking takes nothing from the budget."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import tidemark
import torch
from torch import nn

pytestmark = pytest.mark.usefixtures("counter")

Made = tuple[nn.Module, Callable[[], object]]


def make_step() -> Made:
    torch.manual_seed(3)
    layers = [nn.Linear(64, 256), nn.GELU(), nn.Dropout(0.1), nn.Linear(256, 256), nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(256, 8))
    optimizer = torch.optim.AdamW(model.parameters())
    x = torch.randn(1024, 64)

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    return model, step


def test_many_held_steps_are_bitwise_equal() -> None:
    graph = tidemark.record(make_step()[1])
    least = tidemark.frontier(graph, points=2).least_feasible_bytes
    memory = least + (graph.peak_bytes - least) * 6 // 10

    found = tidemark.verify(make_step, memory, steps=20)

    assert str(found) == "20 steps, 18 planned: bitwise equal"


def test_what_differs_is_named() -> None:
    num_runs = 0

    def make() -> Made:
        nonlocal num_runs
        num_runs += 1
        model, step = make_step()
        if num_runs == 2:
            with torch.no_grad():
                model[0].bias += 1
        return model, step

    found = tidemark.verify(make, None, steps=1)

    assert not found.is_exact
    assert "step 0: parameter 0.bias" in found.differences
    assert "step 0: generator state" not in found.differences
