"""Ops of other libraries, and memory they give back and take again: what could be affected stays.

FSDP frees the parameters of a block after its forward and gathers them again before its backward,
by resizing storages outside of ops; collectives write where their schema does not say.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import tidemark
import torch
from counted_runs import assert_equal, assert_planned, run
from torch import nn
from torch.nn import functional
from training_loops import Loop

pytestmark = pytest.mark.usefixtures("counter")

LIBRARY = torch.library.Library("tidemark_tests", "DEF")
LIBRARY.define("gather(Tensor(a!) out, Tensor shard) -> ()")
LIBRARY.impl("gather", lambda out, shard: (out.copy_(shard), None)[1], "CPU")
LIBRARY.define("scale_quietly(Tensor x) -> Tensor")  # writes, and its schema does not say so
LIBRARY.impl("scale_quietly", lambda x: x.mul_(2).sum(), "CPU")


class Gathered(nn.Linear):
    """A layer that computes with a copy of its weight, there only while it is needed."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width)
        self.full = torch.empty_like(self.weight).requires_grad_(False)
        self.free()

    def gather(self) -> None:
        self.full.untyped_storage().resize_(self.weight.nbytes)
        with torch.no_grad(), torch.autograd._unsafe_preserve_version_counter(self.full):
            torch.ops.tidemark_tests.gather(self.full, self.weight)

    def free(self) -> None:
        self.full.untyped_storage().resize_(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.gather()
        y = functional.linear(x, self.full, self.bias)
        self.free()
        y.register_hook(lambda gradient: self.gather())
        x.register_hook(lambda gradient: self.free()) if x.requires_grad else None
        return torch.tanh(functional.gelu(y)) * torch.sigmoid(y)


def gathered() -> Loop:
    model = nn.Sequential(*(Gathered(48) for _ in range(6)), nn.Linear(48, 10))
    return Loop(
        model,
        torch.optim.SGD(model.parameters(), 0.1),
        lambda: (torch.randn(64, 48).requires_grad_(), torch.randint(0, 10, (64,))),
    )


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_memory_that_comes_and_goes_outside_of_ops_is_followed(share: float) -> None:
    stock = run(gathered, None)
    with tidemark.MemoryBudget(None) as budget:
        kept = run(gathered, budget, 4)
        graph = budget.graph
    assert graph is not None
    assert graph.peak_bytes == kept.counted[-1]
    least = tidemark.frontier(graph, points=2).least_feasible_bytes
    memory = int(least + share * (graph.peak_bytes - least))

    with tidemark.MemoryBudget(memory, plan=tidemark.plan(graph, memory)) as budget:
        found = run(gathered, budget)

    assert least < graph.peak_bytes
    assert_equal(found, stock)
    assert_planned(found, memory)


def test_a_watched_step_gives_back_nothing_that_was_computed_from_gathered_memory() -> None:
    stock = run(gathered, None, 2)
    with tidemark.MemoryBudget(None) as budget:
        run(gathered, budget, 4)
        graph = budget.graph
    assert graph is not None
    least = tidemark.frontier(graph, points=2).least_feasible_bytes

    with tidemark.MemoryBudget((least + graph.peak_bytes) // 2) as budget:
        found = run(gathered, budget, 2)
        assert budget.last_step.num_replays > 0

    assert_equal(found, stock)


class Filled(nn.Module):
    """Computes with tables that numpy fills: no op has written what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.scales = nn.ParameterList(torch.full((1, 32), 0.1) for _ in range(6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for place, scale in enumerate(self.scales, 1):
            table = torch.empty(64, 32)
            table.numpy()[:] = place * scale.detach().numpy()
            x = x + torch.sigmoid(scale * table)
        return x


def filled() -> Loop:
    model = Filled()
    return Loop(
        model,
        torch.optim.SGD(model.parameters(), 0.1),
        lambda: (torch.randn(64, 32), torch.randint(0, 32, (64,))),
    )


class Quiet(nn.Module):
    """Reads its input before and after an op that changes it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            y = layer(x)
            before = torch.sigmoid(y)
            torch.ops.tidemark_tests.scale_quietly(y.detach())
            x = before * torch.tanh(y)
        return x


def quiet() -> Loop:
    model = Quiet()
    return Loop(
        model,
        torch.optim.SGD(model.parameters(), 0.1),
        lambda: (torch.randn(64, 32), torch.randint(0, 32, (64,))),
    )


@pytest.mark.parametrize("make", [quiet, filled])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_what_something_unseen_has_written_is_never_computed_again(
    make: Callable[[], Loop], share: float
) -> None:
    stock = run(make, None)
    with tidemark.MemoryBudget(None) as budget:
        run(make, budget, 4)
        graph = budget.graph
    assert graph is not None
    least = tidemark.frontier(graph, points=2).least_feasible_bytes
    memory = int(least + share * (graph.peak_bytes - least))

    with tidemark.MemoryBudget(memory, plan=tidemark.plan(graph, memory)) as budget:
        found = run(make, budget)

    assert_equal(found, stock)
    assert_planned(found, memory)
