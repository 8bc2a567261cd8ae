"""What a row of the matrix is, and the small programs that most rows are variations of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional

Batch = tuple[Any, ...]

ROWS: dict[str, Row] = {}

SAMPLES, WIDTH, CLASSES = 128, 32, 4


@dataclass
class Program:
    """A training loop: what it trains, one step of it, and where its batches come from."""

    model: nn.Module
    step: Callable[..., object]
    """Runs one step on a batch; what it returns is compared and lives until the next step's end."""
    next_batch: Callable[[], Batch]
    optimizers: list[torch.optim.Optimizer] = field(default_factory=list)
    others: dict[str, Any] = field(default_factory=dict)
    """Whatever else must not differ: generators, averaged models, lists of tensors."""
    around: Callable[[Callable[[], None]], object] = lambda whole_step: whole_step()
    """Calls the whole step, from its beginning in the budget to its end."""
    outcome: object = None

    def train(self, *batch: object) -> None:
        self.outcome = self.step(*batch)


@dataclass(frozen=True)
class Row:
    """One row: a program, and what is promised of it."""

    name: str
    theme: str
    make: Callable[[], Program]
    note: str
    dynamic: bool
    """Its steps differ from each other: none need be planned, all must be exact and inside."""
    message: str | None
    """The first words of the error that the first step raises, if the row is refused."""
    unseen_bytes: int | None
    """Bytes that the step counts and the tests' counter cannot see, from other allocators; None if
    their number is not known: then planned steps need only be inside."""
    full: bool
    """Too slow for `make test`."""
    apart: bool
    """It runs in a process of its own: what it sets up would change what others do."""
    has_other_threads: bool
    """Threads beside the step's make and hold tensors in their own time: the tests' counter sees
    theirs, and no peak is promised. The step's own must be inside."""


def row(
    *,
    note: str = "",
    dynamic: bool = False,
    message: str | None = None,
    unseen_bytes: int | None = 0,
    full: bool = False,
    apart: bool = False,
    has_other_threads: bool = False,
) -> Callable[[Callable[[], Program]], Callable[[], Program]]:
    """Makes a row of a function that builds its program, seeded alike every time."""

    def enter(make: Callable[[], Program]) -> Callable[[], Program]:
        name = make.__name__
        assert name not in ROWS, name
        theme = make.__module__.rpartition(".")[2]
        ROWS[name] = Row(
            *(name, theme, make, note, dynamic, message, unseen_bytes, full, apart),
            has_other_threads,
        )
        return make

    return enter


class Apply(nn.Module):
    """A function as a layer."""

    def __init__(self, fn: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fn(x)


def body(*layers: nn.Module | Callable[[torch.Tensor], torch.Tensor]) -> nn.Sequential:
    """Layers on (samples, width) in the middle of a perceptron with something to drop itself."""
    return nn.Sequential(
        nn.Linear(WIDTH, WIDTH), nn.GELU(),
        *(layer if isinstance(layer, nn.Module) else Apply(layer) for layer in layers),
        nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH), nn.Tanh(),
        nn.Linear(WIDTH, CLASSES),
    )  # fmt: skip


def image_body(*layers: nn.Module | Callable[[torch.Tensor], torch.Tensor]) -> nn.Sequential:
    """Layers on (16, 8, 12, 12) in the middle of a small convolutional network."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.GELU(),
        *(layer if isinstance(layer, nn.Module) else Apply(layer) for layer in layers),
        nn.LazyConv2d(8, 3, padding=1), nn.GELU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
        nn.Linear(128, CLASSES),
    )  # fmt: skip


def vectors() -> Batch:
    return torch.randn(SAMPLES, WIDTH), torch.randint(0, CLASSES, (SAMPLES,))


def images() -> Batch:
    return torch.randn(16, 3, 12, 12), torch.randint(0, CLASSES, (16,))


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)


def classify(
    model: nn.Module,
    next_batch: Callable[[], Batch] = vectors,
    make_optimizer: Callable[[nn.Module], torch.optim.Optimizer] = sgd,
    **others: object,
) -> Program:
    """The plain loop: forward, cross-entropy, backward, update."""
    if any(isinstance(p, nn.UninitializedParameter) for p in model.parameters()):
        model(next_batch()[0])
    optimizer = make_optimizer(model)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(model, step, next_batch, [optimizer], others)
