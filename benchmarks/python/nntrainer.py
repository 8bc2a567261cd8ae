"""The models that NNTrainer lists for its memory planner, trained for real at CIFAR's size.

Per model, in bytes of everything that a step makes or finds: the peak of stock torch, and of the
least plan made by segments of sqrt(N) ops. Of the arena alone, which holds what a step makes: its
height, what no arena can be below, and what NNTrainer's planners V1 and V3 need for the same
allocations. Nothing is timed; the figures are the same in every run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tidemark
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional

BATCH, SIDE, CLASSES, STEPS = 32, 32, 10, 54


class Recurrent(nn.Module):
    """An LSTM over the rows of a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.LSTM(3 * SIDE, 64, batch_first=True)
        self.head = nn.Linear(64, CLASSES)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.head(self.rows(x.permute(0, 2, 1, 3).flatten(2))[0][:, -1])


class Residual(nn.Module):
    """The basic block of a ResNet-18."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        stride = 1 if before == after else 2
        self.body = nn.Sequential(
            *normed(before, after, stride), nn.ReLU(inplace=True), *normed(after, after, 1)
        )
        self.skip = nn.Sequential() if stride == 1 else nn.Conv2d(before, after, 1, stride)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return functional.relu(self.body(x) + self.skip(x))


def normed(before: int, after: int, stride: int) -> list[nn.Module]:
    """Returns a convolution and its norm."""
    return [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)]


def conv(before: int, after: int) -> list[nn.Module]:
    """Returns a convolution that keeps the size, and its activation."""
    return [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]


def head(features: int) -> list[nn.Module]:
    """Returns what ends a model of pictures."""
    return [nn.Flatten(), nn.Linear(features, CLASSES)]


def alexnet() -> nn.Module:
    """AlexNet with the strides that 32 x 32 leaves room for."""
    widths, layers = (3, 64, 192, 384, 256, 256), list[nn.Module]()
    for i in range(5):
        layers += conv(widths[i], widths[i + 1])
        layers += [nn.MaxPool2d(2)] if i in (0, 1, 4) else []
    dense = [nn.Flatten(), nn.Dropout(), nn.Linear(256 * 16, 1024), nn.ReLU(), nn.Dropout()]
    return nn.Sequential(*layers, *dense, nn.Linear(1024, 1024), nn.ReLU(), *head(1024))


def vgg() -> nn.Module:
    """VGG-11's convolutions and a linear head."""
    layers, before = list[nn.Module](), 3
    for width in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0):
        layers += conv(before, width) if width else [nn.MaxPool2d(2)]
        before = width or before
    return nn.Sequential(*layers, *head(512))


def resnet18() -> nn.Module:
    """ResNet-18 with the stem for small pictures."""
    widths = (64, 64, 64, 128, 128, 256, 256, 512, 512)
    blocks = [Residual(widths[i], widths[i + 1]) for i in range(8)]
    return nn.Sequential(*normed(3, 64, 1), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), *head(512))


PIXELS = 3 * SIDE * SIDE
MODELS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Sequential(*head(PIXELS)),
    "conv": lambda: nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), *head(16 * SIDE * SIDE)),
    "lstm": Recurrent,
    "fc x3": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(PIXELS, 256), nn.Linear(256, 128), nn.Linear(128, CLASSES)
    ),
    "conv x3": lambda: nn.Sequential(
        *(nn.Conv2d(a, 16, 3, padding=1) for a in (3, 16, 16)), *head(16 * SIDE * SIDE)
    ),
    "fc-relu-flatten": lambda: nn.Sequential(nn.Linear(SIDE, 64), nn.ReLU(), *head(3 * SIDE * 64)),
    "conv-relu-flatten": lambda: nn.Sequential(*conv(3, 16), *head(16 * SIDE * SIDE)),
    "alexnet": alexnet,
    "vgg": vgg,
    "resnet18": resnet18,
}


def train(name: str, budget: tidemark.MemoryBudget, steps: int) -> None:
    """Trains with gradients that die with the step."""
    torch.manual_seed(1)
    model = MODELS[name]()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x, y = torch.randn(BATCH, 3, SIDE, SIDE), torch.randint(CLASSES, (BATCH,))

    def step() -> None:
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(steps):
        with budget.step():
            step()


def measure(name: str, steps: int) -> dict[str, Any]:
    """Returns the row of a model."""
    with tidemark.MemoryBudget(None, arena="on") as budget:
        train(name, budget, steps)
        graph, layout, arena = budget.graph, budget.layout, budget.arena
    assert graph is not None
    assert layout is not None
    baselines = layout.baselines()
    segments = tidemark.frontier(graph, points=2, policy="sqrt")
    return {
        "model": name,
        "eager": graph.peak_bytes,
        "sqrt": segments.least_feasible_bytes,
        "arena": arena.height,
        "bound": arena.lower_bound,
        "v1": baselines["nntrainer_v1"],
        "v3": baselines["nntrainer_v3"],
        "num_fallen_back": arena.num_fallen_back,
        "num_mappings": arena.num_mappings,
    }


def print_rows(rows: list[dict[str, Any]], console: Console) -> None:
    """Prints one line per model."""
    columns = ("eager", "sqrt", "arena", "bound", "v1", "v3")
    table = Table("model", *columns)
    for row in rows:
        table.add_row(row["model"], *(tidemark.format_bytes(row[each]) for each in columns))
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = parser.parse_args()
    rows = [measure(name, arguments.steps) for name in arguments.models]
    print_rows(rows, Console(width=100))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "nntrainer.json").write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
