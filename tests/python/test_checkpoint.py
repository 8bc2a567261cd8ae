"""tidemark.checkpoint: the same bits as without it and as torch.utils.checkpoint, fewer bytes."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import counting_allocator
import pytest
import tidemark
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint as torch_checkpoint
from training_loops import Block, Residual

Tensors = list[torch.Tensor]


pytestmark = pytest.mark.usefixtures("counter")


def plainly(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return fn(*args, **kwargs)


def by_torch(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return torch_checkpoint(fn, *args, use_reentrant=False, **kwargs)


WAYS = {"tidemark": tidemark.checkpoint, "torch": by_torch}


def same(found: Tensors, expected: Tensors) -> bool:
    return all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def lstm() -> nn.Module:
    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(16, 16, 2, dropout=0.2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.lstm(x)[0]

    return Hidden()


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "attention": (lambda: Block(16, 4, 0.2), (2, 8, 16)),
    "lstm": (lstm, (5, 3, 16)),
    "residual": (lambda: Residual(4, 8, 2), (4, 4, 8, 8)),
    "in_place": (lambda: nn.Sequential(nn.Linear(16, 16), nn.ReLU(inplace=True)), (4, 16)),
}


def train_once(name: str, way: Callable[..., Any]) -> tuple[Tensors, Tensors]:
    """Returns output, gradients and generator state; and the buffers."""
    make, shape = MODELS[name]
    torch.manual_seed(0)
    model = make()
    x = torch.randn(shape, requires_grad=True)
    y = way(model, x)
    noise = torch.rand(4)  # drawn between forward and backward
    (y.square().sum() * noise.sum()).backward()
    gradients = [p.grad for p in model.parameters()]
    return [y.detach(), x.grad, noise, torch.get_rng_state(), *gradients], list(model.buffers())


@pytest.mark.parametrize("name", MODELS)
def test_gradients_and_random_numbers_are_bitwise(name: str) -> None:
    found, _ = train_once(name, tidemark.checkpoint)
    expected, _ = train_once(name, plainly)

    assert same(found, expected)


def test_running_statistics_are_those_of_torch_checkpoint() -> None:
    _, found = train_once("residual", tidemark.checkpoint)
    _, by_other = train_once("residual", by_torch)
    _, once = train_once("residual", plainly)

    assert same(found, by_other)
    assert not same(found, once)  # both runs update them


def kept_bytes(way: Callable[..., Any], layers: int) -> int:
    torch.manual_seed(0)
    model = nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.GELU()) for _ in range(layers)])
    x = torch.randn(128, 64)
    gc.collect()
    before = counting_allocator.live()
    y = way(model, x)
    gc.collect()
    kept = counting_allocator.live() - before
    del y
    return kept


def test_only_the_result_is_kept() -> None:
    result = 128 * 64 * 4

    assert kept_bytes(tidemark.checkpoint, 4) == result
    assert kept_bytes(plainly, 4) >= 8 * result
    assert kept_bytes(by_torch, 4) > result  # its generator states are tensors


def test_an_outer_call_drops_what_inner_ones_were_given() -> None:
    def each(model: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
        for layer in model:
            x = tidemark.checkpoint(layer, x)
        return x

    result = 128 * 64 * 4

    assert kept_bytes(each, 6) == 6 * result
    assert kept_bytes(lambda m, x: tidemark.checkpoint(each, m, x), 6) == result


@pytest.mark.parametrize("way", WAYS)
def test_the_peak_is_no_higher_than_with_torch_checkpoint(way: str) -> None:
    def peak(checkpoint: Callable[..., Any]) -> int:
        torch.manual_seed(0)
        model = nn.Sequential(*[Block(32, 4, 0.1) for _ in range(4)])
        x = torch.randn(4, 16, 32, requires_grad=True)
        gc.collect()
        before = counting_allocator.live()
        counting_allocator.reset_peak()
        y = x
        for block in model:
            y = checkpoint(block, y)
        y.sum().backward()
        return counting_allocator.peak() - before

    assert peak(tidemark.checkpoint) <= peak(WAYS[way])


def test_nothing_is_left_after_backward() -> None:
    class Big:
        pass

    big = Big()
    gone = weakref.ref(big)
    x = torch.randn(64, requires_grad=True)

    def fn(t: torch.Tensor, held: Big) -> torch.Tensor:
        assert held is not None
        return t.sin().exp()

    loss = tidemark.checkpoint(fn, x, big).sum()
    del big
    assert gone() is not None
    loss.backward()
    del loss
    assert gone() is None

    def step() -> int:
        x.grad = None
        tidemark.checkpoint(fn, x, Big()).sum().backward()
        return counting_allocator.live()

    assert len({step() for _ in range(20)}) == 1


def test_arguments_of_every_form_are_passed_on_and_protected() -> None:
    x, w = (torch.randn(4, 4, requires_grad=True) for _ in range(2))
    mask = torch.ones(4, 4)

    def fn(
        first: torch.Tensor, pair: tuple[torch.Tensor, int], *, how: str, masks: dict[str, Any]
    ) -> dict[str, torch.Tensor]:
        y = getattr(first @ pair[0] * pair[1], how)()
        return {"a": y * masks["one"], "b": y.exp()}

    def gradients(way: Callable[..., Any]) -> Tensors:
        result = way(fn, x, (w, 3), how="sin", masks={"one": mask})
        return list(torch.autograd.grad((result["a"] + result["b"]).sum(), [x, w]))

    assert same(gradients(tidemark.checkpoint), gradients(plainly))

    result = tidemark.checkpoint(fn, x, (w, 3), how="sin", masks={"one": mask})
    mask.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        result["b"].sum().backward()


def test_a_part_of_the_outputs_may_be_used() -> None:
    x = torch.randn(8, requires_grad=True)

    def fn(t: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return t.sin().exp(), t.cos().exp(), t.detach(), t * 2

    for i in (0, 1, 3):
        found = torch.autograd.grad(tidemark.checkpoint(fn, x)[i].sum(), x)
        assert same(list(found), list(torch.autograd.grad(fn(x)[i].sum(), x)))


def test_graphs_are_retained_and_differentiated_twice() -> None:
    x = torch.randn(8, requires_grad=True)

    def fn(t: torch.Tensor) -> torch.Tensor:
        return t.sin().exp().square()

    def derivatives(loss: torch.Tensor) -> Tensors:
        (again,) = torch.autograd.grad(loss, x, retain_graph=True)
        (first,) = torch.autograd.grad(loss, x, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), x)
        return [again, first, second]

    assert same(derivatives(tidemark.checkpoint(fn, x).sum()), derivatives(fn(x).sum()))


def test_the_function_may_call_backward() -> None:
    x = torch.randn(8, requires_grad=True)

    def fn(t: torch.Tensor) -> torch.Tensor:
        (slope,) = torch.autograd.grad(t.sin().exp().sum(), t, create_graph=True)
        return slope.square()

    found = torch.autograd.grad(tidemark.checkpoint(fn, x).sum(), x)

    assert same(list(found), list(torch.autograd.grad(fn(x).sum(), x)))


def test_weights_learn_from_inputs_that_need_no_gradient() -> None:
    layer = nn.Linear(4, 4)
    x = torch.randn(2, 4)

    tidemark.checkpoint(layer, x).exp().sum().backward()
    found = layer.weight.grad
    layer.zero_grad()
    layer(x).exp().sum().backward()

    assert torch.equal(found, layer.weight.grad)


def test_a_generator_among_the_arguments_draws_the_same_twice() -> None:
    x = torch.randn(64, requires_grad=True)

    def fn(t: torch.Tensor, own: torch.Generator) -> torch.Tensor:
        return (t * torch.rand(64, generator=own)).exp()

    def run(way: Callable[..., Any]) -> Tensors:
        own = torch.Generator().manual_seed(5)
        (gradient,) = torch.autograd.grad(way(fn, x, own).sum(), x)
        return [gradient, torch.rand(4, generator=own)]

    assert same(run(tidemark.checkpoint), run(plainly))
    assert not same(run(by_torch), run(plainly))  # which is why


@pytest.mark.parametrize("backward_inside", [False, True])
def test_autocast_is_put_back(backward_inside: bool) -> None:
    layers = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))
    x = torch.randn(4, 16)

    def gradients(way: Callable[..., Any]) -> Tensors:
        layers.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = way(layers, x).float().square().sum()
            if backward_inside:
                loss.backward()
        if not backward_inside:
            loss.backward()
        return [p.grad.clone() for p in layers.parameters()]

    assert same(gradients(tidemark.checkpoint), gradients(plainly))
    assert not torch.is_autocast_enabled("cpu")


def test_the_default_device_is_put_back() -> None:
    devices = []
    x = torch.randn(4, requires_grad=True)

    def fn(t: torch.Tensor) -> torch.Tensor:
        devices.append(torch.empty(1).device.type)
        return t.exp()

    with torch.device("meta"):
        y = tidemark.checkpoint(fn, x)
    y.sum().backward()

    assert devices == ["meta", "meta"]


def test_without_grad_mode_it_is_a_plain_call() -> None:
    x = torch.ones(2, requires_grad=True)
    with torch.no_grad():
        assert not tidemark.checkpoint(torch.exp, x).requires_grad


def test_the_second_run_goes_only_as_far_as_needed() -> None:
    seen = []

    def fn(t: torch.Tensor) -> torch.Tensor:
        seen.append("begin")
        y = t.exp()
        seen.append("end")
        return y

    tidemark.checkpoint(fn, torch.ones(2, requires_grad=True)).sum().backward()

    assert seen == ["begin", "end", "begin"]


def test_a_function_that_swallows_errors_is_stopped_all_the_same() -> None:
    x = torch.randn(4, requires_grad=True)

    def fn(t: torch.Tensor) -> torch.Tensor:
        try:
            return t.sin().exp()
        except RuntimeError:
            return t.cos().exp()

    found = torch.autograd.grad(tidemark.checkpoint(fn, x).sum(), x)

    assert same(list(found), list(torch.autograd.grad(fn(x).sum(), x)))


def counting(fn: Callable[[torch.Tensor, int], torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Makes a function whose second argument is how often it was called."""
    calls = 0

    def numbered(t: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return fn(t, calls)

    return numbered


@pytest.mark.parametrize(
    ("fn", "difference"),
    [
        (
            lambda t, n: (t[:n] * 2).exp(),
            r"tensor 0 of 1 was Float\[1\] on cpu from Exp",
        ),
        (lambda t, n: t.sin().to(torch.float32 if n == 1 else torch.float64).exp(), "Double"),
        (lambda t, n: t.sin().exp() if n == 1 else t.sin(), "saved 2 tensors and this run only 1"),
    ],
)
def test_a_run_that_differs_is_named(fn: Callable[..., Any], difference: str) -> None:
    loss = tidemark.checkpoint(counting(fn), torch.ones(8, requires_grad=True)).sum()

    with pytest.raises(tidemark.ReplayMismatch, match=difference) as error:
        loss.backward()

    assert "numbered did something else when it ran again for ExpBackward0" in str(error.value)


def test_exceptions_of_the_function_are_its_own() -> None:
    x = torch.ones(4, requires_grad=True)

    def fails_at(bad: int) -> Callable[..., torch.Tensor]:
        def fn(t: torch.Tensor, n: int) -> torch.Tensor:
            y = t.sin()
            if n == bad:
                raise KeyError("mine")
            return y.exp()

        return counting(fn)

    with pytest.raises(KeyError, match="mine"):
        tidemark.checkpoint(fails_at(1), x)
    loss = tidemark.checkpoint(fails_at(2), x).sum()
    with pytest.raises(KeyError, match="mine"):
        loss.backward(retain_graph=True)
    loss.backward()

    assert torch.equal(x.grad, torch.autograd.grad(x.sin().exp().sum(), x)[0])


def test_a_write_to_what_was_saved_inside_is_autograds_error() -> None:
    x = torch.ones(4, requires_grad=True)

    def fn(t: torch.Tensor) -> torch.Tensor:
        y = t.exp()
        return y.mul_(2)

    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        fn(x).sum().backward()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        tidemark.checkpoint(fn, x).sum().backward()


def test_other_hooks_win_inside_and_lose_outside() -> None:
    x = torch.randn(8, requires_grad=True)
    packed: list[int] = []

    def pack(t: torch.Tensor) -> torch.Tensor:
        packed.append(t.numel())
        return t

    def hooks() -> torch.autograd.graph.saved_tensors_hooks:
        return torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t)

    def hooked_inside(t: torch.Tensor) -> torch.Tensor:
        y = t.sin()
        with hooks():
            y = y.exp()
        return y.square()

    expected = torch.autograd.grad(hooked_inside(x).sum(), x)
    packed.clear()
    assert same(list(torch.autograd.grad(tidemark.checkpoint(hooked_inside, x).sum(), x)), expected)
    assert len(packed) >= 1

    packed.clear()
    with hooks():
        y = tidemark.checkpoint(lambda t: t.sin().exp(), x)
    assert packed == [8]  # the argument alone
    y.sum().backward()


@pytest.mark.parametrize("outer", WAYS)
@pytest.mark.parametrize("inner", WAYS)
def test_it_nests_with_torch_checkpoint(outer: str, inner: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Tanh())
    x = torch.randn(4, 8, requires_grad=True)

    def gradients(outside: Callable[..., Any], inside: Callable[..., Any]) -> Tensors:
        torch.manual_seed(1)
        model.zero_grad()
        x.grad = None
        outside(lambda t: inside(model, inside(model, t).sin()).exp(), x).sum().backward()
        return [x.grad, *(p.grad.clone() for p in model.parameters()), torch.get_rng_state()]

    assert same(gradients(WAYS[outer], WAYS[inner]), gradients(plainly, plainly))


def test_disabled_hooks_are_said_at_the_call() -> None:
    x = torch.ones(2, requires_grad=True)

    with (
        torch.autograd.graph.disable_saved_tensors_hooks("not here"),
        pytest.raises(RuntimeError, match="not here"),
    ):
        tidemark.checkpoint(torch.exp, x)
    with pytest.raises(RuntimeError, match="saved-tensor hooks"):
        torch.func.grad(lambda t: tidemark.checkpoint(torch.exp, t).sum())(torch.ones(2))


class Exp(torch.autograd.Function):
    """Asks for what it saved twice, as a custom function may."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        y = x.exp()
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        x, _ = ctx.saved_tensors
        _, y = ctx.saved_tensors
        assert torch.equal(x.exp(), y)
        return gradient * y


def test_what_was_saved_may_be_looked_at_any_number_of_times() -> None:
    x = torch.randn(8, requires_grad=True)

    def fn(t: torch.Tensor) -> torch.Tensor:
        return Exp.apply(t.sin()).cos()

    found = torch.autograd.grad(tidemark.checkpoint(fn, x).sum(), x)
    assert same(list(found), list(torch.autograd.grad(fn(x).sum(), x)))

    y = tidemark.checkpoint(lambda t: t.sin().exp(), x)
    for _ in range(2):
        assert torch.equal(y.grad_fn._saved_result, y)
    y.sum().backward()


def test_threads_may_go_backward_through_one_graph() -> None:
    x = torch.randn(64, requires_grad=True)

    def fn(t: torch.Tensor) -> torch.Tensor:
        return t.sin().exp().tanh()

    loss = tidemark.checkpoint(lambda t: tidemark.checkpoint(fn, t).cos(), x).sum()
    expected = torch.autograd.grad(fn(x).cos().sum(), x)
    found: list[bool] = []

    def work() -> None:
        for _ in range(25):
            found.append(same(list(torch.autograd.grad(loss, x, retain_graph=True)), expected))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [True] * 100


def test_backward_may_run_on_another_thread() -> None:
    x = torch.randn(8, requires_grad=True)
    loss = tidemark.checkpoint(lambda t: t.sin().exp(), x).sum()

    thread = threading.Thread(target=loss.backward)
    thread.start()
    thread.join()

    assert torch.equal(x.grad, torch.autograd.grad(x.sin().exp().sum(), x)[0])
