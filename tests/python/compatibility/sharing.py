"""Rows in which parameters, modules or inputs are shared, frozen, unused or sparse."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from compatibility.rows import (
    CLASSES,
    WIDTH,
    Batch,
    Program,
    body,
    classify,
    row,
    sgd,
    vectors,
)


def tokens() -> Batch:
    return torch.randint(0, 50, (128, 12)), torch.randint(0, CLASSES, (128,))


class Reader(nn.Module):
    """An embedding, and a perceptron on the mean of what it looks up."""

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__()
        self.embedding, self.body = embedding, body(nn.Dropout(0.1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.embedding(x)
        return self.body(found.mean(1) if found.dim() == 3 else found)


@row()
def tied_weights() -> Program:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token, self.inner = nn.Embedding(50, WIDTH), nn.Linear(WIDTH, WIDTH)
            self.head = nn.Linear(WIDTH, 50)
            self.head.weight = self.token.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.inner(self.token(x)).tanh()).mean(1)

    return classify(Tied(), tokens)


@row()
def one_module_many_times() -> Program:
    layer = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Dropout(0.1))
    return classify(body(*[layer] * 5))


@row()
def one_batch_norm_twice() -> Program:
    norm = nn.BatchNorm1d(WIDTH)
    return classify(body(norm, nn.Linear(WIDTH, WIDTH), nn.Tanh(), norm, nn.Tanh()))


@row()
def shared_inputs() -> Program:
    class Fork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(x).tanh() + self.b(x).sigmoid() * self.c(x) + x

    return classify(body(Fork(), Fork()))


@row()
def transposed_weights_of_a_decoder() -> Program:
    layer = nn.Linear(WIDTH, WIDTH)
    return classify(body(layer, nn.Tanh(), lambda x: functional.linear(x, layer.weight.t()).tanh()))


@row()
def a_frozen_prefix() -> Program:
    model = body(nn.Linear(WIDTH, WIDTH), nn.Tanh())
    for layer in list(model)[:3]:
        layer.requires_grad_(False)
    return classify(model)


@row()
def a_frozen_middle() -> Program:
    frozen = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))
    return classify(body(nn.Linear(WIDTH, WIDTH), frozen.requires_grad_(False), nn.Tanh()))


@row()
def a_prefix_under_no_grad() -> Program:
    encoder = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Dropout(0.1))

    @torch.no_grad()
    def encode(x: torch.Tensor) -> torch.Tensor:
        return encoder(x)

    return classify(nn.Sequential(body(encode, nn.Linear(WIDTH, WIDTH), nn.Tanh())))


@row()
def a_prefix_under_inference_mode() -> Program:
    encoder = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU())

    def encode(x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            features = encoder(x.detach())
        return features.clone() * x

    return classify(body(encode, nn.Linear(WIDTH, WIDTH), nn.Tanh()))


@row()
def parameters_without_gradient() -> Program:
    class Partly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x).tanh()

    return classify(body(Partly(), Partly()))


@row(note="the gradients are sparse tensors; what makes them is kept")
def sparse_embedding_gradients() -> Program:
    def optimizer(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), 0.05)

    return classify(Reader(nn.Embedding(50, WIDTH, sparse=True)), tokens, optimizer)


@row()
def embedding_with_padding_and_scaled_gradient() -> Program:
    embedding = nn.Embedding(50, WIDTH, padding_idx=0, scale_grad_by_freq=True)
    return classify(Reader(embedding), tokens)


@row(note="looking up writes the weight: what read it before is kept")
def embedding_with_max_norm() -> Program:
    return classify(Reader(nn.Embedding(50, WIDTH, max_norm=0.8)), tokens)


@row()
def embedding_bags() -> Program:
    bags = nn.ModuleList([nn.EmbeddingBag(50, WIDTH, mode=mode) for mode in ("sum", "mean", "max")])

    class Bags(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bags, self.body = bags, body(nn.Tanh())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            offsets = torch.arange(0, x.numel(), x.shape[1])
            flat = [bag(x.flatten(), offsets) for bag in list(self.bags)[:2]]
            return self.body(flat[0] * flat[1] + self.bags[2](x))

    return classify(Bags(), tokens)


@row(note="looking up writes the weight: what read it before is kept")
def embedding_bags_with_max_norm() -> Program:
    return classify(Reader(nn.EmbeddingBag(50, WIDTH, max_norm=0.8)), tokens)


@row()
def functional_call_with_other_parameters() -> Program:
    model = body(nn.Linear(WIDTH, WIDTH), nn.Tanh())
    optimizer = sgd(model)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        scaled = {name: p * 0.9 for name, p in model.named_parameters()}
        loss = functional.cross_entropy(torch.func.functional_call(model, scaled, (x,)), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(model, step, vectors, [optimizer])


@row()
def parameters_swapped_through_data() -> Program:
    model = body(nn.Linear(WIDTH, WIDTH), nn.Tanh())
    slow = [p.detach().clone() for p in model.parameters()]
    inner = classify(model)

    def step(x: torch.Tensor, y: torch.Tensor) -> object:
        loss = inner.step(x, y)
        for p, other in zip(model.parameters(), slow, strict=True):
            other.lerp_(p.data, 0.5)
            p.data = other.clone()
        return loss

    return Program(model, step, vectors, inner.optimizers, {"slow": slow})
