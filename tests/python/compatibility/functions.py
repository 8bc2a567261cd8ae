"""Rows of functions and losses."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from compatibility.rows import (
    CLASSES,
    SAMPLES,
    WIDTH,
    Batch,
    Program,
    body,
    classify,
    row,
    sgd,
    vectors,
)

linear = nn.Linear


@row()
def fourier_transforms() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.rfft(x) * torch.fft.rfft(x.tanh()).conj()
        return torch.fft.irfft(spectrum, WIDTH) + torch.fft.fft2(x).real.sin()

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def einsum() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        heads = x.view(SAMPLES, 4, 8)
        mixed = torch.einsum("bhd,bgd->bhg", heads, heads).softmax(-1)
        return torch.einsum("bhg,bgd->bhd", mixed, heads.sin()).flatten(1)

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def cholesky_and_solve() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        covariance = x.T @ x / SAMPLES + torch.eye(WIDTH)
        factor = torch.linalg.cholesky(covariance)
        white = torch.linalg.solve_triangular(factor, x.T, upper=False).T
        return white + torch.linalg.solve(covariance, x.T).T + torch.logdet(covariance)

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def singular_values_and_friends() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        _, s, _ = torch.linalg.svd(x.view(SAMPLES, 4, 8), full_matrices=False)
        values, vectors = torch.linalg.eigh(x.T @ x)
        q, _ = torch.linalg.qr(x[:WIDTH] + torch.eye(WIDTH))
        norms = torch.linalg.matrix_norm(x.view(SAMPLES, 4, 8)).unsqueeze(1)
        return (x @ vectors.abs() * values.sqrt().tanh()) @ q.abs() * s.sum(1, True) / norms

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh()))


@row()
def scatter_and_gather() -> Program:
    places = torch.randperm(SAMPLES) // 2

    def fn(x: torch.Tensor) -> torch.Tensor:
        index = places.unsqueeze(1).expand_as(x)
        summed = torch.zeros_like(x).scatter_add(0, index, x.exp())
        most = torch.zeros_like(x).scatter_reduce(0, index, x, "amax", include_self=False)
        return x.gather(0, index) + (summed + most).index_select(0, places).log1p()

    return classify(body(nn.Sigmoid(), fn, linear(WIDTH, WIDTH), nn.Sigmoid(), fn))


@row()
def indexing_by_integers_and_masks_of_known_size() -> Program:
    places, mask = torch.arange(SAMPLES).flip(0), torch.arange(WIDTH) % 2 == 0

    def fn(x: torch.Tensor) -> torch.Tensor:
        y = x[places] * x[:, [*range(WIDTH)]]
        return y + torch.cat([x[:, mask].sin(), x[:, ~mask].cos()], 1).take_along_dim(
            places[:1].remainder(WIDTH).expand(SAMPLES, WIDTH), 1
        )

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row(note="the order is kept, the values are computed again")
def sort_and_topk() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        ordered, places = x.sort(1)
        top, _ = x.topk(8, 1)
        median = x.median(1, keepdim=True).values
        return ordered * median + torch.zeros_like(x).scatter(1, places, ordered) * top.mean(
            1, True
        )

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


class Experts(nn.Module):
    """Each sample goes to the expert that its gate likes best."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = linear(WIDTH, 4)
        self.experts = nn.ModuleList(
            nn.Sequential(linear(WIDTH, 48), nn.GELU(), linear(48, WIDTH)) for _ in range(4)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights, chosen = self.gate(x).softmax(1).max(1)
        y = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            (mine,) = torch.where(chosen == i)
            y = y.index_add(0, mine, expert(x[mine]) * weights[mine].unsqueeze(1))
        return y


@row(note="how many samples an expert gets differs from step to step", dynamic=True)
def experts_with_data_dependent_shapes() -> Program:
    return classify(body(Experts(), nn.Tanh(), Experts()))


@row(note="which expert runs differs from step to step", dynamic=True)
def random_routing() -> Program:
    experts = nn.ModuleList([linear(WIDTH, WIDTH), nn.Bilinear(WIDTH, WIDTH, WIDTH)])

    class Routed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.experts = experts

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first, second = self.experts
            return first(x).tanh() if torch.rand(()) < 0.5 else second(x, x.sin())

    return classify(body(Routed(), Routed()))


@row(note="how many elements are chosen differs from step to step", dynamic=True)
def boolean_masks_of_the_data() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        chosen = x[x > 0]
        return x * chosen.exp().mean() + torch.zeros_like(x).masked_scatter(x > 0, chosen.sqrt())

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def cumulative_functions() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        most, _ = x.cummax(1)
        return (
            x.cumsum(1).tanh()
            + most * x.logcumsumexp(1)
            + x.sigmoid().cumprod(1)
            + x.diff(dim=1, append=x[:, :1])
        )

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def choices_between_values() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        y = torch.where(x > 0, x.sqrt().nan_to_num(), x.exp())
        return (
            y.clamp(0.1, 0.9) + torch.maximum(x, y) * torch.fmod(x, 0.5) + x.masked_fill(x > 1, 0)
        )

    return classify(body(nn.Sigmoid(), fn, linear(WIDTH, WIDTH), nn.Tanh()))


@row()
def reductions_and_statistics() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        spread = x.std(1, keepdim=True) + x.var(0, keepdim=True) + x.amax(1, keepdim=True)
        return x.logsumexp(1, True) + x.norm(dim=1, keepdim=True) + spread * x + x.prod(1, True)

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row()
def softmax_entropy_and_glu() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        entropy = -(x.softmax(1) * x.log_softmax(1)).sum(1, keepdim=True)
        return functional.glu(torch.cat([x, x.sin()], 1)) * entropy + functional.softplus(x)

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Mish(), fn, nn.PReLU()))


@row()
def cross_entropy_with_ignore_index() -> Program:
    model = body(nn.Dropout(0.1), linear(WIDTH, WIDTH), nn.Tanh())
    optimizer = sgd(model)
    weight = torch.tensor([1.0, 2.0, 0.5, 1.0])

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        y = y.masked_fill(torch.arange(len(y)) % 5 == 0, -100)
        loss = functional.cross_entropy(model(x), y, weight, label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        return loss

    return Program(model, step, vectors, [optimizer])


@row()
def ctc_loss() -> Program:
    model = body(linear(WIDTH, WIDTH), nn.Tanh())
    optimizer = sgd(model)
    lengths, sizes = torch.full((8,), 16), torch.full((8,), 3)

    def batch() -> Batch:
        return torch.randn(SAMPLES, WIDTH), torch.randint(1, CLASSES, (8, 3))

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        logits = model(x).view(16, 8, CLASSES).log_softmax(2)
        loss = functional.ctc_loss(logits, y, lengths, sizes)
        loss.backward()
        optimizer.step()
        return loss

    return Program(model, step, batch, [optimizer])


@row()
def many_losses() -> Program:
    model = body(linear(WIDTH, WIDTH), nn.Tanh())
    optimizer = sgd(model)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        logits, goal = model(x), functional.one_hot(y, CLASSES).float()
        loss = functional.mse_loss(logits, goal) + functional.huber_loss(logits, goal)
        loss += functional.binary_cross_entropy_with_logits(logits, goal)
        loss += functional.kl_div(logits.log_softmax(1), goal, reduction="batchmean")
        loss += functional.multi_margin_loss(logits, y) + functional.l1_loss(logits, goal)
        loss += functional.triplet_margin_loss(logits[:40], logits[40:80], logits[80:120])
        loss.backward()
        optimizer.step()
        return loss

    return Program(model, step, vectors, [optimizer])
