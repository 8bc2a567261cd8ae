"""Rows that draw random numbers."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from compatibility.rows import (
    WIDTH,
    Apply,
    Program,
    body,
    classify,
    image_body,
    images,
    row,
)


@row()
def dropout_modules() -> Program:
    return classify(body(nn.Dropout(0.3), nn.Linear(WIDTH, WIDTH), nn.Dropout(0.1)))


@row()
def dropout_functional() -> Program:
    return classify(body(lambda x: functional.dropout(x, 0.3), nn.Tanh()))


@row()
def dropout_in_place() -> Program:
    return classify(body(nn.Dropout(0.3, inplace=True), nn.Linear(WIDTH, WIDTH), nn.Tanh()))


@row()
def dropout_of_features() -> Program:
    return classify(image_body(nn.Dropout2d(0.3), nn.Conv2d(8, 8, 3), nn.Dropout2d(0.2)), images)


@row()
def alpha_dropout() -> Program:
    return classify(body(nn.SELU(), nn.AlphaDropout(0.2), nn.Linear(WIDTH, WIDTH), nn.SELU()))


@row()
def feature_alpha_dropout() -> Program:
    return classify(image_body(nn.SELU(), nn.FeatureAlphaDropout(0.2), nn.SELU()), images)


@row()
def rrelu() -> Program:
    return classify(body(nn.RReLU(), nn.Linear(WIDTH, WIDTH), nn.RReLU(inplace=True)))


@row()
def dropout_in_attention() -> Program:
    def attend(x: torch.Tensor) -> torch.Tensor:
        q = x.view(4, -1, 2, WIDTH // 2).transpose(1, 2)
        mixed = functional.scaled_dot_product_attention(q, q.sin(), q.cos(), dropout_p=0.2)
        return mixed.transpose(1, 2).reshape(x.shape)

    return classify(body(attend, nn.Linear(WIDTH, WIDTH), attend))


@row()
def noise_like_the_activation() -> Program:
    return classify(body(lambda x: x + 0.1 * torch.rand_like(x), lambda x: x * torch.randn_like(x)))


@row()
def noise_from_an_explicit_generator() -> Program:
    generator = torch.Generator().manual_seed(7)

    def noisy(x: torch.Tensor) -> torch.Tensor:
        return x * torch.rand(x.shape, generator=generator).sqrt()

    return classify(body(noisy, nn.Linear(WIDTH, WIDTH), noisy), own=generator)


@row()
def noise_written_in_place() -> Program:
    def noisy(x: torch.Tensor) -> torch.Tensor:
        noise = torch.empty_like(x).normal_(0.0, 0.1)
        mask = torch.empty_like(x).bernoulli_(0.8)
        return (x + noise) * mask * torch.empty_like(x).uniform_(0.9, 1.1)

    return classify(body(noisy, nn.Linear(WIDTH, WIDTH), noisy))


@row()
def bernoulli() -> Program:
    return classify(body(lambda x: x * torch.bernoulli(x.sigmoid()), nn.Tanh()))


@row()
def multinomial() -> Program:
    def sample(x: torch.Tensor) -> torch.Tensor:
        chosen = torch.multinomial(x.softmax(1), WIDTH, replacement=True)
        return x.gather(1, chosen)

    return classify(body(sample, nn.Linear(WIDTH, WIDTH), nn.Tanh()))


@row()
def gumbel_softmax() -> Program:
    return classify(
        body(
            lambda x: functional.gumbel_softmax(x, 0.7),
            nn.Linear(WIDTH, WIDTH),
            lambda x: functional.gumbel_softmax(x, hard=True),
        )
    )


@row()
def random_permutation() -> Program:
    return classify(body(lambda x: x[:, torch.randperm(WIDTH)], nn.Linear(WIDTH, WIDTH), nn.Tanh()))


@row()
def mixup() -> Program:
    class Mix(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            share = torch.distributions.Beta(0.4, 0.4).sample()
            return share * x + (1 - share) * x[torch.randperm(len(x))]

    return classify(body(Mix(), nn.Linear(WIDTH, WIDTH), Mix()))


@row()
def sampled_latents() -> Program:
    class Latent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mean, self.spread = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.distributions.Normal(self.mean(x), self.spread(x).exp()).rsample()

    return classify(body(Latent(), nn.Tanh(), Latent()))


@row(note="a dropped layer is another form of the step", dynamic=True)
def random_depth() -> Program:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if torch.rand(()).item() < 0.3 else x + self.inner(x)

    return classify(body(*(Skip() for _ in range(4))))


@row()
def random_depth_by_mask() -> Program:
    def skip(x: torch.Tensor) -> torch.Tensor:
        return x * (torch.rand(len(x), 1) < 0.8)

    return classify(body(Apply(skip), nn.Linear(WIDTH, WIDTH), nn.GELU(), Apply(skip)))
