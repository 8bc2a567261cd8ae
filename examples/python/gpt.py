"""A character-level GPT, and the text it learns: CPython's own manual."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pydoc_data.topics import topics

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, kw_only=True, slots=True)
class GptConfig:
    """The sizes of a GPT."""

    vocabulary: int
    layers: int = 6
    width: int = 256
    heads: int = 8
    context: int = 256
    dropout: float = 0.1


class Block(nn.Module):
    """Attention and a feed-forward layer, each behind a norm and beside the residual stream."""

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.dropout = config.dropout
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.feed_norm = nn.LayerNorm(width)
        self.feed_in = nn.Linear(width, 4 * width)
        self.feed_out = nn.Linear(4 * width, width)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the residual stream after this block."""
        x = x + self.drop(self.attention_out(self.attend(self.attention_norm(x))))
        fed = functional.gelu(self.feed_in(self.feed_norm(x)))
        return x + self.drop(self.feed_out(fed))

    def attend(self, x: Tensor) -> Tensor:
        """Returns what the heads gather from the characters before each one."""
        batch, context, width = x.shape
        parts = self.query_key_value(x).view(batch, context, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        rate = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(
            query, key, value, dropout_p=rate, is_causal=True
        )
        return mixed.transpose(1, 2).reshape(batch, context, width)


class Gpt(nn.Module):
    """Embeddings, blocks, and a head that shares the embedding's weight."""

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        self.characters = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Embedding(config.context, config.width)
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.vocabulary, bias=False)
        # The default of nn.Embedding, N(0, 1), gives logits far too large for a tied head.
        nn.init.normal_(self.characters.weight, std=0.02)
        nn.init.normal_(self.positions.weight, std=0.02)
        self.head.weight = self.characters.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Returns the logits of each next character."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.drop(self.characters(tokens) + self.positions(places))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


@dataclass(frozen=True, slots=True)
class Text:
    """A text as character numbers."""

    tokens: Tensor
    vocabulary: int

    @classmethod
    def of_the_python_manual(cls) -> Text:
        """The topics of `help()`, about half a million characters."""
        text = "\n".join(topics[name] for name in sorted(topics))
        number = {character: i for i, character in enumerate(sorted(set(text)))}
        return cls(torch.tensor([number[character] for character in text]), len(number))

    def batches(self, batch: int, context: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields inputs and targets without end, the same for the same seed."""
        generator = torch.Generator().manual_seed(seed)
        while True:
            starts = torch.randint(len(self.tokens) - context, (batch, 1), generator=generator)
            window = self.tokens[starts + torch.arange(context + 1)]
            yield window[:, :-1].contiguous(), window[:, 1:].contiguous()
