"""Rows of what people do with autograd itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from compatibility.rows import WIDTH, Program, body, classify, row, sgd, vectors

linear = nn.Linear


class Swish(torch.autograd.Function):
    """Saves an input, an output, an intermediate and an attribute."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, beta: float) -> torch.Tensor:
        gate = (x * beta).sigmoid()
        y = x * gate
        ctx.save_for_backward(x, gate, y)
        ctx.beta = beta
        return y

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        _, gate, y = ctx.saved_tensors
        return grad * (gate + ctx.beta * y * (1 - gate)), None


class Rounded(torch.autograd.Function):
    """Two outputs, one of them integers; a tensor as an attribute; differentiable once."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        levels = (x * 8).round()
        ctx.mask = levels.abs() < 32
        whole = levels.long()
        ctx.mark_non_differentiable(whole)
        return levels / 8, whole

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return grad * ctx.mask


class Doubled(torch.autograd.Function):
    """Writes its input and says so."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad * 2


@row()
def own_function_with_saved_intermediates() -> Program:
    return classify(body(*[lambda x: Swish.apply(x, 1.5), linear(WIDTH, WIDTH)] * 2))


@row()
def own_function_with_other_outputs_and_attributes() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        rounded, whole = Rounded.apply(x)
        return rounded * (whole % 3 + 1)

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def own_function_that_writes_its_input() -> Program:
    return classify(body(lambda x: Doubled.apply(x + 1), linear(WIDTH, WIDTH), nn.Tanh()))


@row()
def own_function_that_runs_a_graph_of_its_own() -> Program:
    class Inner(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(x)
            return x.sin() * x

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
            (x,) = ctx.saved_tensors
            with torch.enable_grad():
                again = x.detach().requires_grad_()
                return torch.autograd.grad(again.sin() * again, again, grad)[0]

    return classify(body(Inner.apply, linear(WIDTH, WIDTH), nn.Tanh(), Inner.apply))


def with_loss(model: nn.Module, loss_of: Any, **others: object) -> Program:
    """A plain loop whose loss is `loss_of(model, x, y)`, and that does its own backward."""
    optimizer = sgd(model)

    def step(x: torch.Tensor, y: torch.Tensor) -> object:
        optimizer.zero_grad()
        returned = loss_of(model, x, y)
        optimizer.step()
        return returned

    return Program(model, step, vectors, [optimizer], others)


def deep() -> nn.Sequential:
    return body(nn.Dropout(0.1), linear(WIDTH, WIDTH), nn.GELU(), linear(WIDTH, WIDTH), nn.Tanh())


@row()
def tensor_hooks() -> Program:
    seen: list[float] = []

    def fn(x: torch.Tensor) -> torch.Tensor:
        y = x.sin()
        y.register_hook(lambda grad: grad * 0.5)
        y.register_hook(lambda grad: seen.append(grad.norm().item()))
        return y

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn), seen=seen)


@row()
def module_hooks() -> Program:
    model = deep()
    norms: list[float] = []

    def note(module: nn.Module, ins: object, outs: tuple[torch.Tensor]) -> None:
        norms.append(outs[0].norm().item())

    model[3].register_forward_hook(lambda module, args, result: result * 0.9)
    model[4].register_forward_pre_hook(lambda module, args: (args[0] + 0.1,))
    model[5].register_full_backward_hook(note)
    model[5].register_full_backward_pre_hook(lambda module, outs: (outs[0] * 0.5,))
    return classify(model, norms=norms)


@row()
def update_in_post_accumulate_hooks() -> Program:
    model = deep()

    def update(p: torch.Tensor) -> None:
        with torch.no_grad():
            p.add_(p.grad, alpha=-0.01)
        p.grad = None

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(update)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        return loss

    return Program(model, step, vectors)


@row()
def retained_gradients() -> Program:
    def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        hidden = model[:4](x)
        hidden.retain_grad()
        loss = functional.cross_entropy(model[4:](hidden), y)
        loss.backward()
        return loss, hidden.grad

    return with_loss(deep(), loss_of)


@row(dynamic=True, note="what a graph that lives on has saved depends on what the step gave back")
def retained_gradients_of_a_graph_that_lives_on() -> Program:
    def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        hidden = model[:4](x)
        hidden.retain_grad()
        loss = functional.cross_entropy(model[4:](hidden), y)
        loss.backward(retain_graph=True)
        return loss

    return with_loss(deep(), loss_of)


@row()
def gradient_of_the_input() -> Program:
    def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        x = x.clone().requires_grad_()
        (grad,) = torch.autograd.grad(functional.cross_entropy(model(x), y), x)
        loss = functional.cross_entropy(model(x.detach() + 0.1 * grad.sign()), y)
        loss.backward()
        return loss

    return with_loss(deep(), loss_of)


@row()
def backward_to_chosen_inputs() -> Program:
    def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        loss = functional.cross_entropy(model(x), y)
        loss.backward(inputs=list(model[-1].parameters()), retain_graph=True)
        loss.backward(inputs=list(model[:3].parameters()))
        return loss

    return with_loss(deep(), loss_of)


@row()
def gradient_penalty() -> Program:
    def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        x = x.clone().requires_grad_()
        logits = model(x)
        (grad,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
        loss = functional.cross_entropy(logits, y) + ((grad.norm(dim=1) - 1) ** 2).mean()
        loss.backward()
        return loss

    return with_loss(deep(), loss_of)


@row()
def third_derivatives() -> Program:
    def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        t = x[:, :1].clone().requires_grad_()
        u = model(t.expand(-1, WIDTH)).sum(1, keepdim=True)
        for _ in range(3):
            (u,) = torch.autograd.grad(u.sum(), t, create_graph=True)
        loss = (u**2).mean()
        loss.backward()
        return loss

    return with_loss(body(linear(WIDTH, WIDTH), nn.Tanh()), loss_of)


@row()
def hessian_vector_products() -> Program:
    def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        parameters = list(model.parameters())
        loss = functional.cross_entropy(model(x), y)
        grads = torch.autograd.grad(loss, parameters, create_graph=True)
        along = sum((g * g.detach()).sum() for g in grads)
        products = torch.autograd.grad(along, parameters)
        for p, g, h in zip(parameters, grads, products, strict=True):
            p.grad = g.detach() + 0.1 * h
        return loss

    return with_loss(body(linear(WIDTH, WIDTH), nn.Tanh()), loss_of)


@row()
def a_graph_retained_and_used_twice() -> Program:
    def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        loss = functional.cross_entropy(model(x), y)
        loss.backward(retain_graph=True)
        loss.backward()
        return loss

    return with_loss(deep(), loss_of)


@row()
def several_losses() -> Program:
    def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        # Both go through all of the model: what only the first needs is let go at no cost.
        logits = model(x)
        first = functional.cross_entropy(logits, y)
        second = logits.square().mean()
        first.backward(retain_graph=True)
        second.backward()
        return first.detach(), second.detach()

    return with_loss(deep(), loss_of)


@row()
def gradient_accumulation() -> Program:
    def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        losses = []
        for part_x, part_y in zip(x.chunk(4), y.chunk(4), strict=True):
            loss = functional.cross_entropy(model(part_x), part_y) / 4
            loss.backward()
            losses.append(loss.detach())
        return losses

    return with_loss(deep(), loss_of)


@row(note="which loss goes backward differs from step to step", dynamic=True)
def partial_backward() -> Program:
    def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        features = model[:5](x)
        losses = [functional.cross_entropy(model[5:](features), y), features.square().mean()]
        losses[int(torch.randint(0, 2, ()))].backward()
        return losses

    return with_loss(deep(), loss_of)


@row()
def a_branch_that_never_goes_backward() -> Program:
    def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        unused = model(x.flip(0)).exp()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        return loss, unused.detach().sum()

    return with_loss(deep(), loss_of)


@row()
def anomaly_mode() -> Program:
    def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        with torch.autograd.detect_anomaly(check_nan=True):
            loss = functional.cross_entropy(model(x), y)
            loss.backward()
        return loss

    return with_loss(deep(), loss_of)


@row()
def saved_tensors_read_by_the_user() -> Program:
    def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> object:
        hidden = model[:4](x).exp()
        saved = hidden.grad_fn._saved_result.sum().detach()
        loss = functional.cross_entropy(model[4:](hidden.tanh()), y)
        loss.backward()
        return loss, saved

    return with_loss(deep(), loss_of)
