"""Rows of other number formats: autocast, loss scaling, half and double models."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from compatibility.rows import WIDTH, Program, body, classify, image_body, images, row, sgd, vectors


def small() -> nn.Module:
    return body(nn.Dropout(0.1), nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH), nn.GELU())


def under_autocast(
    dtype: torch.dtype, *, is_backward_inside: bool = False, model: nn.Module | None = None
) -> Program:
    model = small() if model is None else model
    optimizer = sgd(model)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype):
            loss = functional.cross_entropy(model(x), y)
            if is_backward_inside:
                loss.backward()
        if not is_backward_inside:
            loss.backward()
        optimizer.step()
        return loss

    return Program(model, step, vectors, [optimizer])


@row()
def autocast_to_bfloat16() -> Program:
    return under_autocast(torch.bfloat16)


@row()
def autocast_to_float16() -> Program:
    return under_autocast(torch.float16)


@row()
def autocast_around_backward_too() -> Program:
    return under_autocast(torch.bfloat16, is_backward_inside=True)


@row()
def autocast_of_one_weight_used_often() -> Program:
    layer = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU())
    return under_autocast(torch.bfloat16, model=body(*[layer] * 4))


@row()
def autocast_switched_off_inside() -> Program:
    class Exact(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(WIDTH, WIDTH)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.autocast("cpu", enabled=False):
                return self.inner(x.float()).tanh()

    return under_autocast(torch.bfloat16, model=body(Exact(), nn.Linear(WIDTH, WIDTH), nn.GELU()))


@row()
def autocast_of_convolutions() -> Program:
    model = image_body(nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3))
    model(images()[0])
    program = under_autocast(torch.bfloat16, model=model)
    program.next_batch = images
    return program


def scaled(start: float) -> Program:
    model = small()
    optimizer = sgd(model)
    scaler = torch.amp.GradScaler("cpu", start, growth_interval=2)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.float16):
            loss = functional.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        return loss

    return Program(model, step, vectors, [optimizer], {"scaler": scaler})


@row()
def gradient_scaler() -> Program:
    return scaled(2.0**8)


@row(note="a step with infinite gradients skips its update: another form", dynamic=True)
def gradient_scaler_that_overflows() -> Program:
    return scaled(2.0**26)


@row()
def model_of_double_precision() -> Program:
    return classify(small().double(), lambda: (vectors()[0].double(), vectors()[1]))


@row()
def model_of_bfloat16() -> Program:
    return classify(small().bfloat16(), lambda: (vectors()[0].bfloat16(), vectors()[1]))


@row()
def float32_master_weights() -> Program:
    model = small().bfloat16()
    masters = [p.detach().float() for p in model.parameters()]
    optimizer = torch.optim.AdamW(masters, 0.01)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        model.zero_grad()
        loss = functional.cross_entropy(model(x.bfloat16()).float(), y)
        loss.backward()
        for p, master in zip(model.parameters(), masters, strict=True):
            master.grad = p.grad.float()
        optimizer.step()
        with torch.no_grad():
            for p, master in zip(model.parameters(), masters, strict=True):
                p.copy_(master)
        return loss

    return Program(model, step, vectors, [optimizer], {"masters": masters})


@row()
def mixed_dtypes_in_one_expression() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        wide = x.double() * x.half().float() + x.to(torch.bfloat16) * 2
        return (wide + (x * 10).int().double() + (x > 0).double()).float().tanh()

    return classify(body(fn, nn.Linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def other_matmul_precision() -> Program:
    program = classify(small())
    inner = program.step

    def step(x: torch.Tensor, y: torch.Tensor) -> object:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("medium")
        loss = inner(x, y)
        torch.set_float32_matmul_precision(before)
        return loss

    program.step = step
    return program
