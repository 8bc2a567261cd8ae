"""Steps of real models, recorded on tensors without data, for the planner to be judged on.

GPT-2 and ResNet-50 are those of `transformers`, built from a config; the others are written here as
their papers describe them. A step is forward and backward on one batch, without an optimizer, so
that activations are most of it. Estimates cost by the profile of a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import tidemark
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    ResNetConfig,
    ResNetForImageClassification,
)

Loss = Callable[[], Tensor]


def classify(model: nn.Module, inputs: Tensor, classes: int) -> tuple[nn.Module, Loss]:
    """Returns `model` and its loss on `inputs`, (N, ...), against one class of each."""
    targets = torch.randint(classes, inputs.shape[:1])
    return model, lambda: functional.cross_entropy(model(inputs), targets)


def gpt2() -> tuple[nn.Module, Loss]:
    model = GPT2LMHeadModel(GPT2Config(use_cache=False))
    tokens = torch.randint(50257, (8, 512))
    return model, lambda: model(input_ids=tokens, labels=tokens).loss


def resnet50() -> tuple[nn.Module, Loss]:
    config = ResNetConfig(depths=[3, 4, 6, 3], layer_type="bottleneck", num_labels=1000)
    model = ResNetForImageClassification(config)
    images, targets = torch.randn(64, 3, 224, 224), torch.randint(1000, (64,))
    return model, lambda: model(pixel_values=images, labels=targets).loss


class DenseLayer(nn.Module):
    """Huang et al. (2017): norm, ReLU, 1 x 1, norm, ReLU, 3 x 3, joined to what was there."""

    def __init__(self, inside: int, growth: int = 32) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(inside), nn.BatchNorm2d(4 * growth)
        self.narrow = nn.Conv2d(inside, 4 * growth, 1, bias=False)
        self.grow = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, features: list[Tensor]) -> Tensor:  # noqa: D102
        x = self.narrow(functional.relu(self.norm1(torch.cat(features, 1)), inplace=True))
        grown: Tensor = self.grow(functional.relu(self.norm2(x), inplace=True))
        return grown


class DenseNet(nn.Module):
    """DenseNet-121."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
        )
        self.blocks, self.transitions = nn.ModuleList(), nn.ModuleList()
        width = 64
        for depth in (6, 12, 24, 16):
            self.blocks.append(nn.ModuleList(DenseLayer(width + 32 * i) for i in range(depth)))
            width += 32 * depth
            self.transitions.append(
                nn.Sequential(
                    nn.BatchNorm2d(width),
                    nn.ReLU(inplace=True),
                    nn.Conv2d(width, width // 2, 1, bias=False),
                    nn.AvgPool2d(2),
                )
            )
            width //= 2
        self.transitions[-1] = nn.Sequential(nn.BatchNorm2d(2 * width), nn.ReLU(inplace=True))
        self.head = nn.Linear(2 * width, 1000)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        x = self.stem(x)
        for block, transition in zip(self.blocks, self.transitions, strict=True):
            features = [x]
            for layer in block:
                features.append(layer(features))
            x = transition(torch.cat(features, 1))
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


def densenet121() -> tuple[nn.Module, Loss]:
    return classify(DenseNet(), torch.randn(32, 3, 224, 224), 1000)


def convolve(inside: int, outside: int, size: tuple[int, int], stride: int = 1) -> nn.Module:
    padding = (size[0] // 2, size[1] // 2) if stride == 1 else 0
    return nn.Sequential(
        nn.Conv2d(inside, outside, size, stride, padding, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


class Inception(nn.Module):
    """A block of Szegedy et al. (2016): four branches, joined; the third is of 1 x 7 and 7 x 1."""

    def __init__(self, inside: int, width: int) -> None:
        super().__init__()
        self.point = convolve(inside, width, (1, 1))
        self.square = nn.Sequential(
            convolve(inside, width // 2, (1, 1)), convolve(width // 2, width, (3, 3))
        )
        self.factored = nn.Sequential(
            convolve(inside, width // 2, (1, 1)),
            convolve(width // 2, width // 2, (1, 7)),
            convolve(width // 2, width, (7, 1)),
        )
        self.pool = nn.Sequential(nn.AvgPool2d(3, 1, 1), convolve(inside, width, (1, 1)))

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return torch.cat([self.point(x), self.square(x), self.factored(x), self.pool(x)], 1)


def inception() -> tuple[nn.Module, Loss]:
    widths = [64, 64, 72, 96, 128, 192, 192, 192, 320, 512]
    layers = [convolve(3, 32, (3, 3), 2), convolve(32, 64, (3, 3)), nn.MaxPool2d(3, 2)]
    for i, (inside, width) in enumerate(pairwise([16, *widths])):
        layers.append(Inception(4 * inside, width))
        if i in (2, 7):
            layers.append(nn.MaxPool2d(3, 2))
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * widths[-1], 1000)]
    return classify(nn.Sequential(*layers, *head), torch.randn(32, 3, 299, 299), 1000)


class UNet(nn.Module):
    """Ronneberger et al. (2015), with batch norm and padding: four levels, 64 to 1024 channels."""

    def __init__(self) -> None:
        super().__init__()
        widths = [3, 64, 128, 256, 512, 1024]
        self.down = nn.ModuleList(self.twice(a, b) for a, b in pairwise(widths))
        steps = [(a, b) for b, a in reversed(list(pairwise(widths[1:])))]
        self.raise_ = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in steps)
        self.up = nn.ModuleList(self.twice(a, b) for a, b in steps)
        self.head = nn.Conv2d(64, 4, 1)

    @staticmethod
    def twice(inside: int, outside: int) -> nn.Module:  # noqa: D102
        return nn.Sequential(convolve(inside, outside, (3, 3)), convolve(outside, outside, (3, 3)))

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        skips = []
        for level, down in enumerate(self.down):
            x = down(x if level == 0 else functional.max_pool2d(x, 2))
            skips.append(x)
        for raise_, up, skip in zip(self.raise_, self.up, reversed(skips[:-1]), strict=True):
            x = up(torch.cat([raise_(x), skip], 1))
        logits: Tensor = self.head(x)
        return logits


def unet() -> tuple[nn.Module, Loss]:
    model = UNet()
    images, targets = torch.randn(8, 3, 256, 256), torch.randint(4, (8, 256, 256))
    return model, lambda: functional.cross_entropy(model(images), targets)


class Recurrent(nn.Module):
    """An LSTM cell over time, then a word at each place."""

    def __init__(self, width: int = 512) -> None:
        super().__init__()
        self.cells = nn.ModuleList(nn.LSTMCell(width, width) for _ in range(2))
        self.head = nn.Linear(width, 64)

    def forward(self, words: Tensor) -> Tensor:  # noqa: D102
        states = [(words.new_zeros(words.shape[1:]),) * 2 for _ in self.cells]
        logits = []
        for x in words:
            for i, cell in enumerate(self.cells):
                states[i] = cell(x, states[i])
                x = states[i][0]
            logits.append(self.head(x))
        return torch.stack(logits, 2)


def lstm() -> tuple[nn.Module, Loss]:
    model = Recurrent()
    words, targets = torch.randn(64, 128, 512), torch.randint(64, (128, 64))
    return model, lambda: functional.cross_entropy(model(words), targets)


class TreeLstm(nn.Module):
    """Tai et al. (2015), eqs. 9-14: a binary tree, two children to a node."""

    def __init__(self, width: int = 256) -> None:
        super().__init__()
        self.leaf, self.gates = nn.Linear(width, width), nn.Linear(2 * width, 5 * width)
        self.head = nn.Linear(width, 5)

    def _join(
        self, left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, ...]:
        gates = self.gates(torch.cat([left[0], right[0]], 1))
        i, o, u, f, g = gates.chunk(5, 1)
        cell = i.sigmoid() * u.tanh() + f.sigmoid() * left[1] + g.sigmoid() * right[1]
        return o.sigmoid() * cell.tanh(), cell

    def forward(self, leaves: Tensor) -> Tensor:  # noqa: D102
        states = [(hidden.tanh(), hidden) for hidden in map(self.leaf, leaves)]
        logits = []
        while len(states) > 1:
            states = [self._join(*pair) for pair in zip(states[::2], states[1::2], strict=True)]
            logits.extend(self.head(hidden) for hidden, _ in states)
        return torch.stack(logits, 2)


def treelstm() -> tuple[nn.Module, Loss]:
    model = TreeLstm()
    leaves, targets = torch.randn(32, 256, 256), torch.randint(5, (256, 31))
    return model, lambda: functional.cross_entropy(model(leaves), targets)


def unrolled_gan() -> tuple[nn.Module, Loss]:
    """Metz et al. (2017): the generator's loss behind five steps of the discriminator."""
    generator = nn.Sequential(
        *(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 64))
    )
    discriminator = nn.Sequential(
        *(nn.Linear(64, 256), nn.Tanh(), nn.Linear(256, 256), nn.Tanh(), nn.Linear(256, 1))
    )
    noise, real = torch.randn(2048, 64), torch.randn(2048, 64)
    model = nn.ModuleDict({"generator": generator, "discriminator": discriminator})

    def loss() -> Tensor:
        made = generator(noise)
        weights = dict(discriminator.named_parameters())

        def judge(weights: dict[str, Tensor]) -> Tensor:
            on_real = torch.func.functional_call(discriminator, weights, real)
            on_made = torch.func.functional_call(discriminator, weights, made)
            return (functional.softplus(-on_real) + functional.softplus(on_made)).mean()

        for _ in range(5):
            slopes = torch.autograd.grad(judge(weights), list(weights.values()), create_graph=True)
            weights = {
                name: weight - 0.1 * slope
                for (name, weight), slope in zip(weights.items(), slopes, strict=True)
            }
        return -judge(weights)

    return model, loss


MODELS: dict[str, Callable[[], tuple[nn.Module, Loss]]] = {
    "gpt2": gpt2,
    "resnet50": resnet50,
    "unet": unet,
    "densenet121": densenet121,
    "inception": inception,
    "lstm": lstm,
    "treelstm": treelstm,
    "unrolled_gan": unrolled_gan,
}


def estimate(name: str) -> tidemark.StepGraph:
    """Returns one step of a model, recorded on tensors without data, with modelled costs."""
    torch.manual_seed(0)
    model, loss = MODELS[name]()

    def step() -> None:
        loss().backward()
        model.zero_grad()

    return tidemark.record(step, device="cpu")
