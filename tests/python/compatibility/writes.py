"""Rows that write in place, and rows that save views."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from compatibility.rows import (
    CLASSES,
    WIDTH,
    Program,
    body,
    classify,
    image_body,
    images,
    row,
    sgd,
    vectors,
)

linear = nn.Linear


@row()
def activations_in_place() -> Program:
    return classify(
        body(
            *(nn.ReLU(inplace=True), linear(WIDTH, WIDTH), nn.SiLU(inplace=True)),
            *(linear(WIDTH, WIDTH), nn.Hardtanh(inplace=True), linear(WIDTH, WIDTH)),
            *(nn.ELU(inplace=True), linear(WIDTH, WIDTH), nn.LeakyReLU(0.1, inplace=True)),
        )
    )


@row()
def arithmetic_in_place() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        y += 1
        y *= 0.5
        y.add_(x, alpha=2).mul_(x.sigmoid()).clamp_(-2, 2)
        y = y.sin()
        y -= y.mean(1, keepdim=True)
        return y.sub_(x).tanh_()

    return classify(body(fn, linear(WIDTH, WIDTH), fn))


@row()
def residual_added_in_place() -> Program:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(linear(WIDTH, WIDTH), nn.ReLU(), linear(WIDTH, WIDTH))
            self.last = nn.ReLU(inplace=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.inner(x)
            y += x
            return self.last(y)

    return classify(body(Residual(), Residual(), Residual()))


@row()
def masked_fill_in_place() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        return (x * 2).masked_fill_(x > 0.3, 0.1).masked_fill(x < -0.3, -0.1)

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def index_put_in_place() -> Program:
    places = torch.arange(0, 128, 3)

    def fn(x: torch.Tensor) -> torch.Tensor:
        y = x.clone()
        y[places] = x[places + 1].sin()
        y.index_put_((places,), x[places], accumulate=True)
        return y.index_add(0, places, x[places] * 2).index_fill(0, places[:2], 0.5)

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def slices_assigned() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        y = torch.zeros_like(x)
        y[:, ::2] = x[:, ::2].sin()
        y[:, 1::2] = x[:, :16].cos()
        y[0] = 1.0
        return y

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def views_written_through() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        y = x.sin()
        left, right = y[:, :16], y[:, 16:]
        right.mul_(2.0)
        y.view(-1)[::7].add_(0.5)
        left.t().exp_()
        return y

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def results_written_to_out() -> Program:
    class Out(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("scale", torch.zeros(WIDTH))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                torch.mean(x, 0, out=self.scale)
                noise = torch.empty_like(x)
                torch.sin(x, out=noise)
            return x * self.scale + noise

    return classify(body(Out(), linear(WIDTH, WIDTH), nn.Tanh(), Out()))


@row()
def expanded_views() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        row_of = x.mean(1, keepdim=True).expand_as(x)
        return row_of * x + row_of.sigmoid() * x.t().mean(1).expand(128, WIDTH)

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def strided_views() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        windows = torch.as_strided(x.contiguous(), (126, 3, WIDTH), (WIDTH, WIDTH, 1))
        mean = windows.mul(windows).mean(1)
        return functional.pad(mean, (0, 0, 1, 1))

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def chunks_splits_and_unbound() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        a, b = x.chunk(2, 1)
        c, d, e = x.split([8, 8, 16], 1)
        rows = torch.stack([r.sin() for r in x.view(8, 16, WIDTH).unbind(1)], 1)
        mixed = torch.cat([c * d, e * a], 1)
        return (
            rows.reshape(x.shape) + torch.cat([a * b, b.exp()], 1) + functional.pad(mixed, (0, 8))
        )

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def unfolded_and_moved_views() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        y = x.unfold(2, 3, 1).movedim(-1, 1).flatten(1, 2)
        return y[..., :10].transpose(2, 3) * y[..., :10, :].transpose(2, 3)[..., :10, :]

    return classify(image_body(fn), images)


@row()
def complex_numbers() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        z = torch.complex(x[:, :16], x[:, 16:])
        z = z * z.conj() + torch.polar(x[:, :16].sigmoid(), x[:, 16:])
        return torch.cat([z.real * z.abs(), z.imag.sin()], 1)

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def conjugate_and_negative_bits() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        z = torch.view_as_complex(x.view(128, -1, 2))
        negative = z.conj().imag  # carries the negative bit
        product = z.conj() @ z.mT @ z.conj().resolve_conj()
        return torch.cat([negative.exp(), (product * z.conj()).real.tanh()], 1)

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def writes_to_data() -> Program:
    model = body(linear(WIDTH, WIDTH), nn.Tanh())
    optimizer = sgd(model)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        logits = model(x)
        logits.data.clamp_(-1, 1)
        loss = functional.cross_entropy(logits, y)
        loss.backward()
        for p in model.parameters():
            p.data.add_(p.grad.data, alpha=-0.01)
        return loss

    return Program(model, step, vectors, [optimizer])


@row()
def a_saved_tensor_written_through_data() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        y = x.exp()  # saved by exp, and then not what exp gave any more
        y.data.mul_(1.5)
        return y * x

    return classify(body(nn.Tanh(), fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def unsafe_chunks_written() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        a, b = torch.unsafe_chunk(x.sin(), 2, 1)
        a.mul_(2)
        b.exp_()
        return torch.cat([a * b, b], 1)

    return classify(body(nn.Tanh(), fn, linear(WIDTH, WIDTH), nn.Tanh()))


@row()
def detached_branches() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        weights = x.detach().softmax(1)
        return x * weights + (x - x.detach()).exp()

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def inputs_overwritten_after_use() -> Program:
    model = body(linear(WIDTH, WIDTH), nn.Tanh())
    optimizer = sgd(model)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        first = model(x * 2)
        x.zero_()  # nobody saved it, but a replay would read it
        second = model(x + 1)
        x.normal_()
        y.clamp_(max=CLASSES - 2)
        loss = functional.cross_entropy(first + second + model(x.clone()), y)
        x.fill_(3)
        loss.backward()
        optimizer.step()
        return loss

    return Program(model, step, vectors, [optimizer])


@row()
def a_static_input_buffer() -> Program:
    model = body(nn.Dropout(0.1), linear(WIDTH, WIDTH), nn.Tanh())
    optimizer = sgd(model)
    held_x, held_y = torch.empty(128, WIDTH), torch.empty(128, dtype=torch.long)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        held_x.copy_(x)
        held_y.copy_(y)
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(held_x), held_y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(model, step, vectors, [optimizer], {"held": held_x})


@row()
def resized_and_set() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            scratch = torch.zeros(4)
            scratch.resize_(128, WIDTH).copy_(x.detach()).sin_()
            other = torch.ones(1)
            other.set_(scratch)
        return x * other

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def integers_and_bools() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        mask = (x > 0) & (x < 1) | ~(x > -1)
        count = mask.sum(1, keepdim=True) + mask.cumsum(1)
        parity = (count % 2).bool()
        return torch.where(parity, x * count, x / (count + 1)) * mask.logical_not()

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))
