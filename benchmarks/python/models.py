"""The models that the benchmarks train: one function per model, which returns what a step needs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "python"))
from gpt import Gpt, GptConfig, Text  # the demo's


@dataclass(frozen=True, slots=True)
class Task:
    """A model and one batch for it."""

    model: nn.Module
    inputs: Tensor
    targets: Tensor


class Checkpointed(nn.Module):
    """A module that torch.utils.checkpoint computes again: the reference point."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return checkpoint(self.module, x, use_reentrant=False)


def gpt() -> Task:
    text = Text.of_the_python_manual()
    inputs, targets = next(text.batches(2, 256, seed=1))
    return Task(Gpt(GptConfig(vocabulary=text.vocabulary)), inputs, targets)


def small_gpt() -> Task:
    """Returns a task with the ops of `gpt` on less data: what a budget adds to them is the same."""
    text = Text.of_the_python_manual()
    inputs, targets = next(text.batches(1, 96, seed=1))
    return Task(Gpt(GptConfig(vocabulary=text.vocabulary, width=64)), inputs, targets)


def gpt_checkpointed() -> Task:
    task = gpt()
    task.model.blocks = nn.ModuleList(Checkpointed(block) for block in task.model.blocks)
    return task


class Residual(nn.Module):
    """Two convolutions with batch norm and in-place ReLU beside a shortcut."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(inplace=True),
            nn.Conv2d(outside, outside, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outside),
        )
        shortcut = nn.Conv2d(inside, outside, 1, stride, bias=False)
        self.shortcut = nn.Identity() if inside == outside else shortcut

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return functional.relu(self.body(x) + self.shortcut(x), inplace=True)


def resnet() -> Task:
    widths = [16, 16, 16, 32, 32, 64, 64, 128, 128]
    blocks = [
        Residual(inside, outside, 1 if inside == outside else 2)
        for inside, outside in pairwise(widths)
    ]
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)]
    inputs, targets = torch.randn(16, 3, 64, 64), torch.randint(10, (16,))
    return Task(nn.Sequential(*stem, *blocks, *head), inputs, targets)


class UNet(nn.Module):
    """Three levels down and up, with concatenated skips."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        widths = [3, width, 2 * width, 4 * width]
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(self.convolve(a, b) for a, b in pairs)
        self.up = nn.ModuleList(self.convolve(a + b, a) for a, b in reversed(pairs[1:]))
        self.head = nn.Conv2d(width, 4, 1)

    @staticmethod
    def convolve(inside: int, outside: int) -> nn.Module:  # noqa: D102
        layers = (nn.Conv2d(inside, outside, 3, 1, 1), nn.BatchNorm2d(outside), nn.ReLU(True))
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        skips = []
        for level, down in enumerate(self.down):
            x = down(x if level == 0 else functional.max_pool2d(x, 2))
            skips.append(x)
        for up, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = up(torch.cat([functional.interpolate(x, scale_factor=2.0), skip], 1))
        return self.head(x)


def unet() -> Task:
    return Task(UNet(), torch.randn(8, 3, 96, 96), torch.randint(4, (8, 96, 96)))


class Tagger(nn.Module):
    """A stack of LSTMs, each kept or computed again as a whole, with a classifier at each place."""

    def __init__(self, width: int = 96, layers: int = 4) -> None:
        super().__init__()
        widths = [32] + [width] * layers
        self.layers = nn.ModuleList(nn.LSTM(a, b, batch_first=True) for a, b in pairwise(widths))
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(width, 16)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        for layer in self.layers:
            x = self.drop(layer(x)[0])
        return self.head(x).transpose(1, 2)


def lstm() -> Task:
    return Task(Tagger(), torch.randn(16, 96, 32), torch.randint(16, (16, 96)))


class CellLoop(nn.Module):
    """An LSTMCell over 48 steps in a Python loop: tiny ops, many of them."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.width = width
        self.cell = nn.LSTMCell(width, width)
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        hidden = cell = x.new_zeros(x.shape[1], self.width)
        logits = []
        for each in x:
            hidden, cell = self.cell(each, (hidden, cell))
            logits.append(self.head(hidden))
        return torch.stack(logits, dim=2)


def cells() -> Task:
    return Task(CellLoop(), torch.randn(48, 32, 16), torch.randint(4, (32, 48)))


def mlp() -> Task:
    layers = [layer for _ in range(60) for layer in (nn.Linear(16, 16), nn.Tanh())]
    model = nn.Sequential(*layers, nn.Linear(16, 4))
    return Task(model, torch.randn(64, 16), torch.randint(4, (64,)))


class Wide(nn.Module):
    """Elementwise ops on blocks of 48 MiB: their memory takes more time than their arithmetic."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        for _ in range(6):
            x = functional.relu(x * self.scale + 1)
        return x.mean(1)


def wide() -> Task:
    return Task(Wide(), torch.randn(16, 12 * 2**16), torch.randn(16).softmax(0))


TASKS: dict[str, Callable[[], Task]] = {
    "gpt": gpt,
    "small_gpt": small_gpt,
    "resnet": resnet,
    "unet": unet,
    "lstm": lstm,
    "gpt_checkpointed": gpt_checkpointed,
    "cells": cells,
    "mlp": mlp,
    "wide": wide,
}
