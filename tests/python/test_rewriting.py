"""Rows P1, P5 - P7: modules are switched to in-place form only where nothing can notice."""

from __future__ import annotations

import copy

import pytest
import tidemark
import torch
from torch import nn


class Net(nn.Module):
    """Every reason why an activation may not write over its input, and two that may."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.free = nn.ReLU()
        self.drop = nn.Dropout(0.25)
        self.saved = nn.ReLU()
        self.read_later = nn.ReLU()
        self.older = nn.ReLU()
        self.smooth = nn.SiLU()
        self.unused = nn.ReLU()
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(8 * 64, 16), nn.ReLU(), nn.Linear(16, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.free(self.norm(self.conv(self.older(x))))
        y = self.saved(y.exp())  # exp saves its output
        z = y * 2
        y = self.read_later(z) + z
        y = self.smooth(y + 1) * 3
        return self.head(self.drop(y + 1))


X = torch.linspace(-1, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8)


def train(model: nn.Module, steps: int = 20) -> list[torch.Tensor]:
    torch.manual_seed(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(steps):
        loss = model(X).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
    return [*losses, *model.state_dict().values()]


def recorded(model: nn.Module) -> tidemark.StepGraph:
    return tidemark.record(lambda: model(X).square().mean().backward())


def test_only_what_nobody_notices_is_switched_and_the_rest_says_why() -> None:
    torch.manual_seed(0)
    model = Net()
    changes = tidemark.inplace(model, recorded(model))

    assert changes.switched == {"free": 4096, "drop": 4096, "head.2": 128}
    assert changes.kept == {
        "saved": "its input is saved for backward",
        "read_later": "its input is read or held later",
        "older": "its input is older than the step",
        "smooth": "SiLU is not known to compute the same in place",
        "unused": "it ran no op in the recorded step",
    }
    assert "free: in place, 4.00 KiB" in str(changes)
    assert tidemark.inplace(model, recorded(model)).switched == {}


class Twice(nn.Module):
    """One activation, called on its own output, which autograd has saved (found by the fuzzer)."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.linear(x[0, 0]))
        return self.relu(y) + y


def test_what_one_call_made_is_the_input_of_the_next() -> None:
    model = Twice()
    changes = tidemark.inplace(model, recorded(model))

    assert changes.switched == {}
    assert changes.kept == {"relu": "its input is saved for backward"}


def test_the_numbers_are_the_same_after_the_switch() -> None:
    torch.manual_seed(0)
    model = Net()
    before = recorded(model)
    model.zero_grad()
    switched = copy.deepcopy(model)
    changes = tidemark.inplace(switched, before)
    found, expected = train(switched), train(copy.deepcopy(model))

    assert changes.switched
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


class OnViews(nn.Module):
    """Its dropout's inputs are views, of which autograd would make contiguous gradients."""

    def __init__(self, x: torch.Tensor) -> None:
        super().__init__()
        self.x = x
        self.linear = nn.Linear(8, 8)
        self.drop = nn.Dropout(0.25)
        self.out = nn.Linear(x.shape[-2], 3)

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        y = self.linear(self.x)  # of three dimensions it is a view of a matrix
        y = self.drop(y if y.dim() == 3 else y.t())
        return self.out(y.transpose(-1, -2) + 1).sin()


@pytest.mark.parametrize("shape", [(4, 6, 8), (8, 8)])
def test_a_view_is_never_written_over(shape: tuple[int, ...]) -> None:
    """The gradients' sums would round differently (found by the fuzzer)."""
    torch.manual_seed(0)
    model = OnViews(torch.randn(shape))
    switched = copy.deepcopy(model)
    changes = tidemark.inplace(switched, recorded(model))
    model.zero_grad()
    found, expected = train(switched), train(model)

    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    if len(shape) == 3:
        assert changes.kept == {"drop": "its input is a view of what another op made"}
    else:  # of the same shape: seen only when it is called
        assert not switched.drop.inplace


def test_a_graph_of_another_model_is_refused() -> None:
    other = nn.ModuleDict({"other": nn.Linear(4, 4)})
    graph = tidemark.record(lambda: other["other"](torch.ones(1, 4)).sum().backward())
    with pytest.raises(ValueError, match="no op of the graph lies in a module"):
        tidemark.inplace(Net(), graph)
