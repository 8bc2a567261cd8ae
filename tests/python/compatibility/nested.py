"""Rows in which torch's own hooks, transforms and modes are at work inside a step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn
from torch.autograd import forward_ad, graph
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint, checkpoint_sequential
from torch.utils.flop_counter import FlopCounterMode

from compatibility.gradients import with_loss
from compatibility.rows import SAMPLES, WIDTH, Program, body, classify, row, sgd, vectors

linear = nn.Linear


def block() -> nn.Sequential:
    return nn.Sequential(linear(WIDTH, WIDTH), nn.GELU(), nn.Dropout(0.1), linear(WIDTH, WIDTH))


class Checkpointed(nn.Module):
    def __init__(self, use_reentrant: bool) -> None:
        super().__init__()
        self.inner, self.use_reentrant = block(), use_reentrant

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return checkpoint(self.inner, x, use_reentrant=self.use_reentrant)


@row()
def torch_checkpoint() -> Program:
    return classify(body(Checkpointed(False), nn.Tanh(), Checkpointed(False), nn.Tanh()))


@row()
def torch_checkpoint_reentrant() -> Program:
    return classify(body(Checkpointed(True), nn.Tanh(), Checkpointed(True), nn.Tanh()))


@row()
def torch_checkpoint_of_a_sequence() -> Program:
    inner = nn.Sequential(*(nn.Sequential(linear(WIDTH, WIDTH), nn.GELU()) for _ in range(4)))
    return classify(body(lambda x: checkpoint_sequential(inner, 2, x, use_reentrant=False)))


@row()
def torch_checkpoint_with_a_policy() -> Program:
    inner = block()

    def keep_products(ctx: Any, op: Any, *args: object, **kwargs: object) -> Any:
        policy = torch.utils.checkpoint.CheckpointPolicy
        keeps = op == torch.ops.aten.addmm.default
        return policy.MUST_SAVE if keeps else policy.PREFER_RECOMPUTE

    def contexts() -> Any:
        return torch.utils.checkpoint.create_selective_checkpoint_contexts(keep_products)

    return classify(
        body(lambda x: checkpoint(inner, x, use_reentrant=False, context_fn=contexts), nn.Tanh())
    )


@row()
def backward_inside_of_backward() -> Program:
    class Inner(torch.autograd.Function):
        """Its backward trains a little on the way; what it saved is asked for after that."""

        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(x, x.sin())
            return x.sin() * x

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
            with torch.enable_grad():
                t = grad.detach().requires_grad_()
                (t.exp() * t).sum().backward()
            x, sine = ctx.saved_tensors
            return grad * (x.cos() * x + sine) + 0.001 * t.grad

    return classify(body(Inner.apply, linear(WIDTH, WIDTH), nn.Tanh(), Inner.apply))


@row()
def saving_after_a_backward_inside_of_backward() -> Program:
    class Inner(torch.autograd.Function):
        """After a backward of its own, its backward makes another graph, which saves tensors."""

        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(x)
            return x.sin() * x

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
            (x,) = ctx.saved_tensors
            with torch.enable_grad():
                t = grad.detach().requires_grad_()
                (t.exp() * t).sum().backward()
                u = x.detach().requires_grad_()
                (slope,) = torch.autograd.grad((u.sin() * u).sum(), u)
            return grad * slope + 0.001 * t.grad

    return classify(body(Inner.apply, linear(WIDTH, WIDTH), nn.Tanh(), Inner.apply))


@row()
def saved_tensor_hooks_of_the_user() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        with graph.saved_tensors_hooks(lambda t: t.half(), lambda t: t.float()):
            return x.sin().exp()

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn, linear(WIDTH, WIDTH)))


@row()
def save_on_cpu() -> Program:
    inner = block()

    def fn(x: torch.Tensor) -> torch.Tensor:
        with graph.save_on_cpu():
            return inner(x)

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh()))


@row()
def saved_tensor_hooks_forbidden() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        with graph.disable_saved_tensors_hooks("not here"):
            return x.sin().exp()

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), linear(WIDTH, WIDTH)))


@row()
def saved_tensors_copied_on_write() -> Program:
    def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        hidden = model[:4](x)
        with graph.allow_mutation_on_saved_tensors():
            hidden = hidden.tanh()
            squared = hidden**2
            hidden.mul_(0.5)
            loss = functional.cross_entropy(model[4:](squared + hidden), y)
            loss.backward()
        return loss

    return with_loss(body(block(), block()), loss_of)


@row()
def func_grad() -> Program:
    model = body(linear(WIDTH, WIDTH), nn.Tanh())
    optimizer = sgd(model)

    def loss_of(parameters: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> Any:
        return functional.cross_entropy(torch.func.functional_call(model, parameters, (x,)), y)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        parameters = {name: p.detach() for name, p in model.named_parameters()}
        grads, loss = torch.func.grad_and_value(loss_of)(parameters, x[:16], y[:16])
        extra = functional.cross_entropy(model(x), y)
        extra.backward()
        for name, p in model.named_parameters():
            p.grad.add_(grads[name])
        optimizer.step()
        optimizer.zero_grad()
        return loss + extra.detach()

    return Program(model, step, vectors, [optimizer])


@row()
def gradients_per_sample_by_vmap() -> Program:
    model = body(linear(WIDTH, WIDTH), nn.Tanh())

    def loss_of_one(parameters: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> Any:
        logits = torch.func.functional_call(model, parameters, (x.unsqueeze(0),))
        return functional.cross_entropy(logits, y.unsqueeze(0))

    def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        parameters = {name: p.detach() for name, p in model.named_parameters()}
        gradients = torch.func.vmap(torch.func.grad(loss_of_one), (None, 0, 0))
        each = gradients(parameters, x[:2], y[:2])
        for name, p in model.named_parameters():
            p.grad.add_(each[name].clamp(-0.1, 0.1).mean(0))
        return loss

    return with_loss(model, loss_of)


@row()
def vmap_inside_of_the_graph() -> Program:
    def one(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x.sin() * y).exp() - y.softmax(0)

    def fn(x: torch.Tensor) -> torch.Tensor:
        return torch.vmap(one)(x, x.cos())

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def an_ensemble_by_vmap() -> Program:
    weights = nn.Parameter(torch.randn(3, WIDTH, WIDTH) / 6)
    model = body(lambda x: torch.vmap(lambda w: (x @ w).tanh())(weights).mean(0), nn.Tanh())
    model.register_parameter("weights", weights)
    return classify(model)


@row()
def forward_mode_derivatives() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(x, x.detach().cos())
            return forward_ad.unpack_dual(dual.sin() * dual).tangent + x

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def jacobian_vector_products() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        value, along = torch.func.jvp(lambda t: t.sin() * t, (x,), (torch.ones_like(x),))
        return value + along.tanh()

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


class CountingMode(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.num_ops = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.num_ops += func.overloadpacket is not torch.ops.aten.detach
        return func(*args, **(kwargs or {}))


def inside(
    enter: Callable[[], AbstractContextManager[Any]], count: Callable[[Any], int] = lambda _: 0
) -> Program:
    """A plain loop whose step runs inside of a context, which may have counted something."""
    program = classify(body(block(), nn.Tanh()))
    inner, total = program.step, [0]

    def step(x: torch.Tensor, y: torch.Tensor) -> object:
        with enter() as context:
            loss = inner(x, y)
        total[0] += count(context)
        return loss

    program.step, program.others = step, {"counted": total}
    return program


@row(note="replays do not pass the mode; saving tensors shows it some more `detach`")
def a_dispatch_mode_of_the_user() -> Program:
    return inside(CountingMode, lambda mode: mode.num_ops)


@row()
def a_flop_counter() -> Program:
    return inside(lambda: FlopCounterMode(display=False), lambda mode: mode.get_total_flops())


@row(note="replays are `tidemark::replay` in the trace")
def the_profiler() -> Program:
    return inside(lambda: profile(activities=[ProfilerActivity.CPU], profile_memory=True))


@row()
def a_mask_made_by_vmap() -> Program:
    mask = torch.vmap(lambda i: torch.arange(SAMPLES) <= i)(torch.arange(SAMPLES))

    def fn(x: torch.Tensor) -> torch.Tensor:
        scores = (x @ x.T / 6).masked_fill(~mask, float("-inf"))
        return scores.softmax(1) @ x

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))
