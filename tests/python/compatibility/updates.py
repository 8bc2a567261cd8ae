"""Rows of optimizers and of what happens around an update."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional
from torch.optim import swa_utils

from compatibility.rows import WIDTH, Batch, Program, body, classify, row, sgd, vectors

linear = nn.Linear


def deep() -> nn.Sequential:
    return body(nn.Dropout(0.1), linear(WIDTH, WIDTH), nn.GELU(), linear(WIDTH, WIDTH), nn.Tanh())


def updated_by(make: Callable[..., torch.optim.Optimizer], **options: object) -> Program:
    return classify(deep(), make_optimizer=lambda m: make(m.parameters(), **options))


@row()
def adamw() -> Program:
    return updated_by(torch.optim.AdamW, lr=0.01, amsgrad=True)


@row()
def adam_for_each() -> Program:
    return updated_by(torch.optim.Adam, lr=0.01, foreach=True)


@row()
def adamw_fused() -> Program:
    return updated_by(torch.optim.AdamW, lr=0.01, fused=True)


@row()
def sgd_for_each() -> Program:
    return updated_by(torch.optim.SGD, lr=0.01, momentum=0.9, nesterov=True, foreach=True)


@row()
def sgd_fused() -> Program:
    return updated_by(torch.optim.SGD, lr=0.01, momentum=0.9, fused=True)


@row()
def adagrad() -> Program:
    return updated_by(torch.optim.Adagrad, lr=0.01)


@row()
def rmsprop_centered() -> Program:
    return updated_by(torch.optim.RMSprop, lr=0.01, centered=True, momentum=0.5)


@row()
def adafactor() -> Program:
    return updated_by(torch.optim.Adafactor, lr=0.01)


@row()
def muon() -> Program:
    model = body(linear(WIDTH, WIDTH, bias=False), nn.GELU(), linear(WIDTH, WIDTH), nn.Tanh())
    matrices = [p for p in model.parameters() if p.dim() == 2]
    return classify(model, make_optimizer=lambda m: torch.optim.Muon(matrices, 0.01))


@row()
def asgd_and_rprop() -> Program:
    model = deep()
    half = len(list(model.parameters())) // 2
    optimizers = [
        torch.optim.ASGD(list(model.parameters())[:half], 0.01),
        torch.optim.Rprop(list(model.parameters())[half:], 0.001),
    ]

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        model.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        return loss

    return Program(model, step, vectors, optimizers)


@row(note="how often the closure runs differs from step to step", dynamic=True)
def lbfgs_with_a_closure() -> Program:
    model = body(linear(WIDTH, WIDTH), nn.Tanh())
    optimizer = torch.optim.LBFGS(model.parameters(), 0.1, 4, line_search_fn="strong_wolfe")

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x), y)
            loss.backward()
            return loss

        return optimizer.step(closure)

    return Program(model, step, vectors, [optimizer])


@row()
def adam_with_a_closure() -> Program:
    model = deep()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        def closure() -> torch.Tensor:
            optimizer.zero_grad(set_to_none=False)
            loss = functional.cross_entropy(model(x), y)
            loss.backward()
            return loss

        return optimizer.step(closure)

    return Program(model, step, vectors, [optimizer])


def with_update(update: Callable[[nn.Module, torch.optim.Optimizer], None]) -> Program:
    """A plain loop whose gradients are changed before they are used."""
    model = deep()
    optimizer = sgd(model)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        update(model, optimizer)
        return loss

    return Program(model, step, vectors, [optimizer])


@row()
def clipped_gradient_norm() -> Program:
    def update(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()

    return with_update(update)


@row()
def clipped_gradient_norm_without_for_each() -> Program:
    def update(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        nn.utils.clip_grad_norm_(model.parameters(), 0.1, 1.0, foreach=False)
        nn.utils.clip_grad_value_(model.parameters(), 0.05)
        optimizer.step()

    return with_update(update)


@row()
def noise_in_the_gradients() -> Program:
    def update(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        for p in model.parameters():
            p.grad.add_(torch.randn_like(p), alpha=0.01)
        optimizer.step()

    return with_update(update)


@row()
def a_learning_rate_schedule() -> Program:
    model = deep()
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=8)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss

    return Program(model, step, vectors, [optimizer])


@row()
def averaged_model() -> Program:
    model = deep()
    optimizer = sgd(model)
    average = swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9))

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        with torch.no_grad():
            goal = average(x).softmax(1)
        logits = model(x)
        loss = functional.cross_entropy(logits, y) + functional.cross_entropy(logits, goal)
        loss.backward()
        optimizer.step()
        average.update_parameters(model)
        return loss

    return Program(model, step, vectors, [optimizer], {"average": average})


@row(unseen_bytes=264)  # torch copies buffers into storages of its default allocator
def stochastic_weight_averaging() -> Program:
    model = body(nn.BatchNorm1d(WIDTH), nn.GELU(), linear(WIDTH, WIDTH), nn.Tanh())
    optimizer = sgd(model)
    average = swa_utils.AveragedModel(model, use_buffers=True)
    schedule = swa_utils.SWALR(optimizer, 0.05)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        average.update_parameters(model)
        schedule.step()
        swa_utils.update_bn([x], average)
        return loss

    return Program(model, step, vectors, [optimizer], {"average": average})


@row()
def momentum_encoder_with_a_queue() -> Program:
    model, teacher = deep(), copy.deepcopy(deep()).requires_grad_(False)
    optimizer = sgd(model)
    queue = torch.randn(256, 4)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        with torch.no_grad():
            for p, slow in zip(model.parameters(), teacher.parameters(), strict=True):
                slow.lerp_(p, 0.1)
            keys = functional.normalize(teacher(x))
        queries = functional.normalize(model(x))
        near = (queries * keys).sum(1, keepdim=True)
        logits = torch.cat([near, queries @ queue.clone().T], 1)
        loss = functional.cross_entropy(logits, torch.zeros_like(y))
        loss.backward()
        optimizer.step()
        queue.copy_(torch.cat([keys, queue])[:256])
        return loss

    return Program(model, step, vectors, [optimizer], {"teacher": teacher, "queue": queue})


@row()
def two_networks_against_each_other() -> Program:
    maker, critic = deep(), nn.Sequential(linear(4, WIDTH), nn.LeakyReLU(0.2), linear(WIDTH, 1))
    optimizers = [torch.optim.Adam(m.parameters(), 0.01) for m in (maker, critic)]

    def step(x: torch.Tensor, y: torch.Tensor) -> object:
        fake = maker(x)
        optimizers[1].zero_grad()
        real = functional.one_hot(y, 4).float()
        of_critic = functional.softplus(critic(fake.detach())) + functional.softplus(-critic(real))
        of_critic.mean().backward()
        optimizers[1].step()
        optimizers[0].zero_grad()
        of_maker = functional.softplus(-critic(fake)).mean()
        of_maker.backward()
        optimizers[0].step()
        return of_critic.detach(), of_maker.detach()

    return Program(nn.ModuleList([maker, critic]), step, vectors, optimizers)


@row()
def sharpness_aware_minimisation() -> Program:
    model = deep()
    optimizer = sgd(model)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        moved = []
        with torch.no_grad():
            for p in model.parameters():
                moved.append(p.grad * 0.05)
                p.add_(moved[-1])
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        with torch.no_grad():
            for p, by in zip(model.parameters(), moved, strict=True):
                p.sub_(by)
        optimizer.step()
        return loss

    return Program(model, step, vectors, [optimizer])


@row()
def two_models_in_one_step() -> Program:
    models = [deep(), body(nn.BatchNorm1d(WIDTH), nn.ReLU())]
    optimizers = [sgd(models[0]), torch.optim.AdamW(models[1].parameters(), 0.01)]

    def step(x: torch.Tensor, y: torch.Tensor) -> object:
        losses = []
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss)
        return losses

    return Program(nn.ModuleList(models), step, vectors, optimizers)


@row()
def inner_and_outer_updates() -> Program:
    """MAML: the gradient of an update is part of the graph."""
    model = body(linear(WIDTH, WIDTH), nn.Tanh())
    optimizer = sgd(model)

    def halves() -> Batch:
        return vectors()

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        names, values = zip(*model.named_parameters(), strict=True)
        inner = functional.cross_entropy(model(x[:64]), y[:64])
        grads = torch.autograd.grad(inner, values, create_graph=True)
        fast = {n: v - 0.1 * g for n, v, g in zip(names, values, grads, strict=True)}
        loss = functional.cross_entropy(torch.func.functional_call(model, fast, (x[64:],)), y[64:])
        loss.backward()
        optimizer.step()
        return loss

    return Program(model, step, halves, [optimizer])
