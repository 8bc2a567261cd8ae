"""A small training loop, and running it with and without an arena."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tidemark
import torch
from torch import nn

STEPS = 12

FIRST_SERVED = 4
"""Two steps are watched, and two show what the step allocates."""

Bits = list[np.ndarray]


@dataclass
class Loop:
    """A small training loop whose steps may do something else now and then."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    kept: list[Any] = field(default_factory=list)
    pointers: list[int] = field(default_factory=list)
    """Where the first activation lay."""
    keeps_gradients: bool = False

    def forward(self, batch: int = 16) -> torch.Tensor:
        x = torch.full((batch, 32), 0.5 + self.step / 8)
        hidden = self.model[0](x)
        self.pointers.append(hidden.data_ptr())
        return self.model[1:](hidden)

    def train(self, loss: torch.Tensor) -> None:
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def make() -> Loop:
    torch.manual_seed(0)
    layers = (nn.Linear(32, 64), nn.ReLU(), nn.Dropout(0.25), nn.Linear(64, 64), nn.Tanh())
    model = nn.Sequential(*layers, nn.Linear(64, 8))
    return Loop(model, torch.optim.AdamW(model.parameters(), lr=1e-2))


Step = Callable[[Loop], object]


def plain(loop: Loop) -> None:
    loop.train(loop.forward().square().mean())


def bits_of(loop: Loop) -> Bits:
    tensors = [torch.get_rng_state(), *loop.model.parameters()]
    for state in loop.optimizer.state.values():
        tensors += [value for value in state.values() if isinstance(value, torch.Tensor)]
    tensors += [kept for kept in loop.kept if isinstance(kept, torch.Tensor)]
    arrays = [kept for kept in loop.kept if isinstance(kept, np.ndarray)]
    return [t.detach().numpy().copy() for t in tensors] + [a.copy() for a in arrays]


def run(step: Step, budget: tidemark.MemoryBudget | None, steps: int = STEPS) -> list[Bits]:
    """Returns what is left after each step."""
    gc.collect()
    loop, left = make(), []
    for loop.step in range(steps):
        try:
            if budget is None:
                step(loop)
            else:
                with budget.step():
                    step(loop)
        except ArithmeticError:
            loop.optimizer.zero_grad()
        left.append(bits_of(loop))
    return left


def assert_same(found: list[Bits], expected: list[Bits]) -> None:
    for step, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert len(a) == len(b)
        assert all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a, b, strict=True)), step


def run_both(step: Step, arena: Any = "poison") -> tidemark.MemoryBudget:
    """Runs a loop with and without a budget; returns the budget, closed."""
    stock = run(step, None)
    with tidemark.MemoryBudget(None, arena=arena) as budget:
        assert_same(run(step, budget), stock)
    return budget


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096
