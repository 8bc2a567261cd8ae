"""Rows that normalise, and keep statistics while they do."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from compatibility.rows import WIDTH, Program, body, classify, image_body, images, row


@row()
def batch_norm_1d() -> Program:
    return classify(body(nn.BatchNorm1d(WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH)))


@row()
def batch_norm_2d() -> Program:
    return classify(image_body(nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3)), images)


@row()
def batch_norm_3d() -> Program:
    def volume(x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(1, (2, 4))

    norm = nn.BatchNorm3d(2)
    return classify(image_body(volume, norm, nn.ReLU(), lambda x: x.flatten(1, 2)), images)


@row()
def batch_norm_with_cumulative_average() -> Program:
    return classify(body(nn.BatchNorm1d(WIDTH, momentum=None), nn.ReLU()))


@row()
def batch_norm_without_running_statistics() -> Program:
    return classify(body(nn.BatchNorm1d(WIDTH, track_running_stats=False), nn.ReLU()))


@row()
def batch_norm_without_weights() -> Program:
    return classify(body(nn.BatchNorm1d(WIDTH, affine=False), nn.ReLU()))


@row()
def batch_norm_frozen() -> Program:
    frozen = nn.BatchNorm1d(WIDTH).eval().requires_grad_(False)
    return classify(body(frozen, nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH)))


@row()
def batch_norm_in_an_evaluated_part() -> Program:
    part = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH), nn.Dropout(0.5)).eval()
    return classify(body(part, nn.ReLU(), nn.Dropout(0.1)))


@row()
def batch_norm_functional() -> Program:
    mean, var = torch.zeros(WIDTH), torch.ones(WIDTH)

    def norm(x: torch.Tensor) -> torch.Tensor:
        return functional.batch_norm(x, mean, var, training=True)

    return classify(body(norm, nn.Linear(WIDTH, WIDTH), norm, nn.ReLU()), statistics=[mean, var])


@row()
def instance_norm() -> Program:
    return classify(image_body(nn.InstanceNorm2d(8), nn.ReLU(), nn.InstanceNorm2d(8)), images)


@row()
def instance_norm_with_running_statistics() -> Program:
    norm = nn.InstanceNorm2d(8, affine=True, track_running_stats=True)
    return classify(image_body(norm, nn.ReLU()), images)


@row()
def group_norm() -> Program:
    return classify(image_body(nn.GroupNorm(2, 8), nn.SiLU(), nn.GroupNorm(4, 8)), images)


@row()
def layer_norm() -> Program:
    return classify(body(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH)))


@row()
def rms_norm() -> Program:
    return classify(body(nn.RMSNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.RMSNorm(WIDTH)))


@row()
def local_response_norm() -> Program:
    return classify(image_body(nn.LocalResponseNorm(2), nn.ReLU()), images)


@row()
def spectral_norm() -> Program:
    layers = [parametrizations.spectral_norm(nn.Linear(WIDTH, WIDTH)) for _ in range(2)]
    return classify(body(layers[0], nn.ReLU(), layers[1]))


@row()
def spectral_norm_of_old() -> Program:
    return classify(body(nn.utils.spectral_norm(nn.Linear(WIDTH, WIDTH)), nn.ReLU()))


@row()
def weight_norm() -> Program:
    layers = [parametrizations.weight_norm(nn.Linear(WIDTH, WIDTH)) for _ in range(2)]
    return classify(body(layers[0], nn.ReLU(), layers[1]))


@row()
def orthogonal_parametrization() -> Program:
    return classify(body(parametrizations.orthogonal(nn.Linear(WIDTH, WIDTH)), nn.ReLU()))


@row()
def own_parametrization() -> Program:
    class Symmetric(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return weight.triu() + weight.triu(1).mT

    layer = nn.Linear(WIDTH, WIDTH)
    nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
    return classify(body(layer, nn.ReLU(), layer))


@row()
def cached_parametrization() -> Program:
    layer = parametrizations.weight_norm(nn.Linear(WIDTH, WIDTH))
    model = body(layer, nn.ReLU(), layer)
    program = classify(model)
    inner = program.step

    def step(x: torch.Tensor, y: torch.Tensor) -> object:
        with nn.utils.parametrize.cached():
            return inner(x, y)

    program.step = step
    return program


@row()
def statistics_kept_by_the_forward() -> Program:
    class Whiten(nn.Module):
        """An exponential average, a step counter and a queue of what was seen."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(WIDTH))
            self.register_buffer("steps", torch.zeros((), dtype=torch.long))
            self.register_buffer("queue", torch.zeros(4, WIDTH))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                self.mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
                self.queue[self.steps % 4] = x[0]
                self.steps += 1
            return (x - self.mean) * (1 + self.queue.std())

    return classify(body(Whiten(), nn.Linear(WIDTH, WIDTH), Whiten(), nn.Tanh()))


@row()
def a_vector_quantizer() -> Program:
    class Quantize(nn.Module):
        """Codes move to what is assigned to them, within the forward pass."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("codes", torch.randn(8, WIDTH))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            nearest = torch.cdist(x, self.codes).argmin(1)
            chosen = self.codes[nearest]
            with torch.no_grad():
                one_hot = functional.one_hot(nearest, 8).to(x.dtype)
                self.codes.lerp_(one_hot.T @ x / (one_hot.sum(0)[:, None] + 1), 0.1)
            return x + (chosen - x).detach()

    return classify(body(Quantize(), nn.Linear(WIDTH, WIDTH), nn.Tanh(), Quantize()))
