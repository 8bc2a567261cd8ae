"""Rows G1 - G6: updates in backward leave the weights of updates after it, and one gradient."""

from __future__ import annotations

import copy
import gc
import itertools
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import counting_allocator
import pytest
import tidemark
import torch
from torch import nn

pytestmark = pytest.mark.usefixtures("counter")

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-4),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-2, amsgrad=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-2),
    "adamw_foreach": lambda p: torch.optim.AdamW(p, lr=1e-2, foreach=True),
    "adamw_fused": lambda p: torch.optim.AdamW(p, lr=1e-2, fused=True),
}


class Tied(nn.Module):
    """One parameter used at both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 16)
        self.middle = nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16), nn.GELU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.middle(self.words(x)) @ self.words.weight.T


def make(name: str) -> tuple[nn.Module, torch.optim.Optimizer, Any]:
    torch.manual_seed(0)
    model = Tied()
    optimizer = OPTIMIZERS[name](model.parameters())
    return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5)


def train(
    name: str,
    in_backward: bool,
    budget: tidemark.MemoryBudget | None = None,
    share: float | None = None,
) -> list[torch.Tensor]:
    """Returns all that ten steps leave; the last six are held to `share` of the range."""
    model, optimizer, schedule = make(name)
    x = torch.arange(20)
    mode: AbstractContextManager[None] = nullcontext()
    if in_backward:
        mode = tidemark.optimizer_in_backward(optimizer)
    with mode:
        for step in range(10):
            if budget is not None and share is not None and step == 4:
                budget.set_memory(at_share(budget.graph, share))
            with budget.step() if budget is not None else nullcontext():
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), x.flip(0)).backward()
                optimizer.step()
            schedule.step()
    states = [optimizer.state[parameter] for parameter in model.parameters()]
    values = [value for state in states for value in state.values()]
    return [*model.state_dict().values(), *(v for v in values if isinstance(v, torch.Tensor))]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_g2_weights_and_state_are_the_same(name: str) -> None:
    expected, found = train(name, False), train(name, True)
    assert len(found) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def at_share(graph: tidemark.StepGraph | None, share: float) -> int:
    assert graph is not None
    least = tidemark.frontier(graph, points=2).least_feasible_bytes
    return int(least + share * (graph.peak_bytes - least))


@pytest.mark.parametrize("arena", ["off", "poison"])
@pytest.mark.parametrize("share", [None, 0.0, 0.5])
def test_g3_they_are_the_same_under_a_budget(share: float | None, arena: Any) -> None:
    expected = train("adamw", False)
    with tidemark.MemoryBudget(None, arena=arena) as budget:
        found = train("adamw", True, budget, share)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert budget.steps.planned == 8
    assert budget.last_step.peak_bytes == budget.last_step.promised_bytes <= budget.memory_bytes


def gradient_bytes(in_backward: bool) -> int:
    """Returns how far a backward rises above what lies in memory at its beginning."""
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(1024, 1024) for _ in range(12)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    mode = tidemark.optimizer_in_backward(optimizer) if in_backward else nullcontext()
    with mode:
        loss = model(torch.ones(1, 1024)).sum()
        gc.collect()
        counting_allocator.reset_peak()
        before = counting_allocator.live()
        loss.backward()
        return counting_allocator.peak() - before


def test_g2_gradients_take_one_buffer() -> None:
    largest = 1024 * 1024 * 4
    assert gradient_bytes(in_backward=False) > 12 * largest
    assert gradient_bytes(in_backward=True) <= 1.15 * largest


def run_layers(momentum: float, in_backward: bool) -> tuple[int, dict[str, int]]:
    """Returns the peak of a perceptron's step, and what its report says of sharing."""
    torch.manual_seed(0)
    layers = [nn.Linear(64, 64) for _ in range(6)]
    model = nn.Sequential(*itertools.chain(*((layer, nn.Tanh()) for layer in layers)))
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=momentum)
    x = torch.randn(16, 64)
    mode: AbstractContextManager[None] = nullcontext()
    if in_backward:
        mode = tidemark.optimizer_in_backward(optimizer, groups=layers)
    with tidemark.MemoryBudget(None) as budget, mode:
        for _ in range(4):
            with budget.step():
                optimizer.zero_grad()
                model(x).square().mean().backward()
                optimizer.step()
    graph, last = budget.graph, budget.last_step
    assert graph is not None
    assert last is not None
    return last.peak_bytes, tidemark.make_report(graph).to_dict()["sharing"]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_g5_the_report_foretells_the_peak(momentum: float) -> None:
    peak, foretold = run_layers(momentum, in_backward=False)
    peak_in_backward, _ = run_layers(momentum, in_backward=True)
    assert foretold["gradient_bytes"] == 6 * (64 * 64 + 64) * 4
    assert foretold["by_parameter_peak_bytes"] <= foretold["by_module_peak_bytes"]
    assert foretold["by_module_peak_bytes"] == peak_in_backward < peak


def test_g1_and_g4_no_gradient_is_left() -> None:
    model, optimizer, _ = make("adamw")
    with tidemark.optimizer_in_backward(optimizer):
        model(torch.arange(4)).sum().backward()
        assert all(parameter.grad is None for parameter in model.parameters())
        optimizer.step()
    model(torch.arange(4)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


class Layers(nn.Module):
    """Layers of two modules each; of the last one, a parameter gets no gradient."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (16, 16, 48, 16)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(before, after), nn.BatchNorm1d(after))
            for before, after in itertools.pairwise(sizes)
        )
        self.layers[-1].register_parameter("unused", nn.Parameter(torch.ones(100)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer[1](layer[0](x)).relu()
        return x


def clip(parameters: Iterable[torch.Tensor]) -> None:
    nn.utils.clip_grad_norm_(parameters, 0.01)


def train_layers(name: str, in_backward: bool) -> tuple[list[torch.Tensor], int]:
    """Returns what is left of a model whose layers are clipped, and the most bytes of gradients."""
    torch.manual_seed(0)
    model = Layers()
    optimizer = OPTIMIZERS[name](model.parameters())
    most = 0

    def note(_: torch.Tensor) -> None:
        nonlocal most
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        most = max(most, sum(gradient.nbytes for gradient in gradients))

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(note)
    mode: AbstractContextManager[None] = nullcontext()
    if in_backward:
        mode = tidemark.optimizer_in_backward(optimizer, groups=model.layers, before_update=clip)
    with mode:
        for step in range(6):
            optimizer.zero_grad()
            model(torch.linspace(-1, 1, 64).reshape(4, 16) * (step + 1)).sum().backward()
            if not in_backward:
                for layer in model.layers:
                    clip(layer.parameters())
            optimizer.step()
    return [*model.state_dict().values()], most


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_g5_layers_are_clipped_and_updated_each_by_itself(name: str) -> None:
    expected, _ = train_layers(name, False)
    found, _ = train_layers(name, True)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_g5_gradients_of_a_layer_are_all_that_live() -> None:
    layers = Layers().layers
    sizes = [sum(p.nbytes for p in layer.parameters()) for layer in layers]
    left = sum(p.nbytes for name, p in layers[-1].named_parameters() if name != "unused")
    _, everything = train_layers("adamw", False)
    _, most = train_layers("adamw", True)

    assert everything == sum(sizes[:-1]) + left
    assert most == max(sizes[:-1]) + left  # what is left to optimizer.step() lives as well


def test_groups_must_be_apart_and_of_the_optimizer() -> None:
    model = Layers()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    for groups, why in (
        ([nn.Linear(2, 2)], "group 0 has none of the optimizer's"),
        ([model.layers[0], [model.layers[0][0].weight]], "group 1 shares a parameter"),
    ):
        with pytest.raises(ValueError, match=why):
            tidemark.optimizer_in_backward(optimizer, groups=groups).__enter__()


def refused(words: str) -> Any:
    return pytest.raises(tidemark.NotSupported, match=words)


def test_g6_what_needs_all_gradients_is_refused_with_a_reason() -> None:
    from torch.nn.utils import clip_grad_norm_, clip_grad_value_

    model, optimizer, _ = make("adamw")
    other = nn.Linear(2, 2)
    other(torch.ones(1, 2)).sum().backward()
    with tidemark.optimizer_in_backward(optimizer):
        model(torch.arange(4)).sum().backward()
        with refused("cannot be clipped"):
            clip_grad_norm_(model.parameters(), 1.0)
        with refused("cannot be clipped"):
            torch.nn.utils.clip_grad_value_(model.parameters(), 1.0)
        clip_grad_norm_(other.parameters(), 1.0)
        with refused("second backward"):
            model(torch.arange(4)).sum().backward()
        with refused("closure"):
            optimizer.step(lambda: torch.ones(()))
        optimizer.step()
        with refused("scaled"):
            torch.amp.GradScaler("cpu").scale(torch.ones(()))
        torch.amp.GradScaler("cpu", enabled=False).scale(torch.ones(()))
    clip_grad_norm_(model.parameters(), 1.0)
    clip_grad_value_(other.parameters(), 1.0)
    torch.amp.GradScaler("cpu").scale(torch.ones(()))


def test_a_retained_graph_is_refused_with_a_reason_only_when_gone_through_again() -> None:
    model, optimizer, _ = make("sgd")
    with tidemark.optimizer_in_backward(optimizer):
        loss = model(torch.arange(4)).sum()
        loss.backward(retain_graph=True)
        with refused("cannot be gone through again .* Add the losses up .* modified by an inplace"):
            loss.backward()
        with refused("cannot be gone through again"):
            torch.autograd.grad(loss, [*model.parameters()])
        optimizer.step()
        scale = torch.ones(4, requires_grad=True)
        broken = scale.exp()
        product = broken * broken
        broken.zero_()
        with pytest.raises(RuntimeError, match=r"^one of the variables needed"):
            product.sum().backward()  # nothing was updated: that is the program's own


def test_other_optimizers_and_shared_storages_are_refused() -> None:
    model, _, _ = make("sgd")
    with refused("LBFGS may look at several"):
        tidemark.optimizer_in_backward(torch.optim.LBFGS(model.parameters())).__enter__()
    tied = copy.deepcopy(model.middle[0])
    tied.weight.data = model.middle[0].weight.data
    both = [*model.parameters(), *tied.parameters()]
    with refused("lie in one storage"):
        tidemark.optimizer_in_backward(torch.optim.SGD(both, lr=0.1)).__enter__()


def test_the_user_s_own_step_hooks_run_once_per_step() -> None:
    model, optimizer, _ = make("sgd")
    calls = []
    optimizer.register_step_post_hook(lambda *args: calls.append(1))
    with tidemark.optimizer_in_backward(optimizer):
        for _ in range(3):
            model(torch.arange(4)).sum().backward()
            optimizer.step()
    assert len(calls) == 3
