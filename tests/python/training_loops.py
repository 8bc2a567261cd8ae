"""Small training loops for the runtime's tests: real layers, seeds fixed, activations dominate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    ResNetConfig,
    ResNetForImageClassification,
)

Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass
class Loop:
    """A model, its optimizer and where its batches come from."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    next_batch: Callable[[], Batch]
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = field(
        default_factory=nn.CrossEntropyLoss
    )
    named: SimpleNamespace = field(default_factory=SimpleNamespace)
    """What the step has named: it lives until the name is given again."""


class Block(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, time, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, time, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        a = functional.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout, is_causal=True)
        x = x + self.drop(self.out(a.transpose(1, 2).reshape(batch, time, width)))
        return x + self.drop(self.down(functional.gelu(self.up(self.norm2(x)))))


class GPT(nn.Module):
    def __init__(self, vocabulary: int = 100, width: int = 48, layers: int = 3) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(vocabulary, width), nn.Embedding(64, width)
        self.blocks = nn.ModuleList([Block(width, 4, 0.1) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.token.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.token(tokens) + self.place(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)).flatten(0, 1)


class Residual(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(after), nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.skip = (
            nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
            if stride > 1 or before != after
            else nn.Identity()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        y += self.skip(x)
        return self.relu(y)


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.down3 = conv(3, 8), conv(8, 16), conv(16, 32)
        self.grow2, self.grow1 = nn.ConvTranspose2d(32, 16, 2, 2), nn.ConvTranspose2d(16, 8, 2, 2)
        self.up2, self.up1, self.out = conv(32, 16), conv(16, 8), nn.Conv2d(8, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.down1(x)
        b = self.down2(functional.max_pool2d(a, 2))
        c = self.down3(functional.max_pool2d(b, 2))
        y = self.up2(torch.cat([self.grow2(c), b], 1))
        return self.out(self.up1(torch.cat([self.grow1(y), a], 1)))


def conv(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )


class LSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Embedding(100, 32)
        self.lstm = nn.LSTM(32, 48, 2, dropout=0.2, batch_first=True)
        self.head = nn.Linear(48, 100)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.lstm(self.token(tokens))
        return self.head(hidden).flatten(0, 1)


class Cells(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(4, 16)
        wide: list[nn.Module] = [nn.Linear(16, 32), nn.GELU(), nn.Dropout(0.1)]
        for _ in range(5):
            wide += [nn.Linear(32, 32), nn.GELU(), nn.Dropout(0.1)]
        self.head = nn.Sequential(*wide, nn.Linear(32, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = c = torch.zeros(x.shape[0], 16)
        hidden = []
        for t in range(x.shape[1]):
            h, c = self.cell(x[:, t], (h, c))
            hidden.append(h)
        return self.head(torch.stack(hidden, 1)).flatten(0, 1)


class Logits(nn.Module):
    """A model of `transformers`, which returns more than the logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x).logits.flatten(0, -2)


def tokens(batch: int, time: int) -> Batch:
    return torch.randint(0, 100, (batch, time)), torch.randint(0, 100, (batch * time,))


def gpt() -> Loop:
    model = GPT()
    return Loop(model, torch.optim.AdamW(model.parameters(), 1e-3), lambda: tokens(8, 64))


def resnet() -> Loop:
    model = nn.Sequential(
        conv(3, 8), Residual(8, 8, 1), Residual(8, 16, 2), Residual(16, 16, 1), nn.AvgPool2d(16),
        nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip
    return Loop(
        model,
        torch.optim.SGD(model.parameters(), 0.01, momentum=0.9),
        lambda: (torch.randn(16, 3, 32, 32), torch.randint(0, 10, (16,))),
    )


def unet() -> Loop:
    model = UNet()
    return Loop(
        model,
        torch.optim.AdamW(model.parameters(), 1e-3),
        lambda: (torch.randn(4, 3, 32, 32), torch.randint(0, 2, (4, 32, 32))),
    )


def lstm() -> Loop:
    model = LSTM()
    return Loop(
        model, torch.optim.SGD(model.parameters(), 0.01, momentum=0.9), lambda: tokens(32, 40)
    )


def cells() -> Loop:
    model = Cells()
    return Loop(
        model,
        torch.optim.SGD(model.parameters(), 0.01, momentum=0.9),
        lambda: (torch.randn(32, 64, 4), torch.randint(0, 5, (32 * 64,))),
    )


def mlp() -> Loop:
    layers = [layer for _ in range(100) for layer in (nn.Linear(24, 24), nn.ReLU(inplace=True))]
    model = nn.Sequential(*layers, nn.Linear(24, 10))
    return Loop(
        model,
        torch.optim.SGD(model.parameters(), 0.01, momentum=0.9),
        lambda: (torch.randn(256, 24), torch.randint(0, 10, (256,))),
    )


def hugging_gpt2() -> Loop:
    config = GPT2Config(
        vocab_size=100, n_positions=64, n_embd=48, n_layer=3, n_head=4,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = Logits(GPT2LMHeadModel(config))
    return Loop(model, torch.optim.AdamW(model.parameters(), 1e-3), lambda: tokens(8, 64))


def hugging_resnet() -> Loop:
    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[16, 32], depths=[3, 2], layer_type="basic", num_labels=10
    )
    model = Logits(ResNetForImageClassification(config))
    return Loop(
        model,
        torch.optim.SGD(model.parameters(), 0.01, momentum=0.9),
        lambda: (torch.randn(8, 3, 64, 64), torch.randint(0, 10, (8,))),
    )


LOOPS = {f.__name__: f for f in (gpt, resnet, unet, lstm, cells, mlp, hugging_gpt2, hugging_resnet)}
