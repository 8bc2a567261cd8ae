"""Rows of the layers that models are built of."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import rnn

from compatibility.rows import (
    CLASSES,
    WIDTH,
    Apply,
    Batch,
    Program,
    body,
    classify,
    image_body,
    images,
    row,
)

TIME = 12


def sequences() -> Batch:
    return torch.randn(8, TIME, WIDTH), torch.randint(0, CLASSES, (8,))


class Summed(nn.Module):
    """A layer on sequences and a classifier of the mean."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.head = inner, nn.LazyLinear(CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.inner(x)
        return self.head((found[0] if isinstance(found, tuple) else found).mean(1))


class Attention(nn.Module):
    def __init__(self, **options: object) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(WIDTH, 4, 0.1, batch_first=True, **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = torch.zeros(8, TIME, dtype=torch.bool)
        mask[:, -2:] = True
        mixed, weights = self.inner(x, x, x, key_padding_mask=mask)
        return mixed + weights.mean()


@row()
def multihead_attention() -> Program:
    return classify(Summed(nn.Sequential(Attention(), nn.LayerNorm(WIDTH), Attention())), sequences)


@row()
def multihead_attention_with_added_keys() -> Program:
    return classify(Summed(Attention(add_bias_kv=True)), sequences)


@row()
def transformer_encoder() -> Program:
    layer = nn.TransformerEncoderLayer(WIDTH, 4, 64, 0.1, batch_first=True, norm_first=True)
    return classify(Summed(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)), sequences)


@row()
def transformer_decoder() -> Program:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = nn.TransformerDecoderLayer(WIDTH, 4, 64, 0.1, "gelu", batch_first=True)
            self.decoder = nn.TransformerDecoder(layer, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mask = nn.Transformer.generate_square_subsequent_mask(6)
            return self.decoder(x[:, :6], x[:, 6:], tgt_mask=mask, tgt_is_causal=True)

    return classify(Summed(Both()), sequences)


@row()
def lstm() -> Program:
    return classify(Summed(nn.LSTM(WIDTH, 24, 2, dropout=0.2, batch_first=True)), sequences)


@row()
def lstm_bidirectional_with_projection() -> Program:
    lstm = nn.LSTM(WIDTH, 24, 2, bidirectional=True, proj_size=8, batch_first=True)
    return classify(Summed(lstm), sequences)


@row()
def gru() -> Program:
    gru = nn.GRU(WIDTH, 24, 2, dropout=0.1, bidirectional=True, batch_first=True)
    return classify(Summed(gru), sequences)


@row()
def plain_rnn() -> Program:
    return classify(Summed(nn.RNN(WIDTH, 24, 2, dropout=0.1, batch_first=True)), sequences)


@row()
def packed_sequences() -> Program:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(WIDTH, 24, 2, dropout=0.1, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            lengths = torch.tensor([12, 3, 7, 7, 1, 12, 5, 9])
            packed = rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            return rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0]

    return classify(Summed(Packed()), sequences)


class Loop(nn.Module):
    """A cell called once per time step."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state: object = None
        hidden = []
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
            hidden.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(hidden, 1)


@row()
def lstm_cells_in_a_loop() -> Program:
    return classify(Summed(Loop(nn.LSTMCell(WIDTH, 24))), sequences)


@row()
def gru_cells_in_a_loop() -> Program:
    return classify(Summed(Loop(nn.GRUCell(WIDTH, 24))), sequences)


@row()
def rnn_cells_in_a_loop() -> Program:
    return classify(Summed(Loop(nn.RNNCell(WIDTH, 24))), sequences)


@row()
def convolutions_1d() -> Program:
    stack = nn.Sequential(
        *(Apply(lambda x: x.mT), nn.Conv1d(WIDTH, 16, 3, padding=2, dilation=2), nn.GELU()),
        *(nn.Conv1d(16, 16, 3, groups=4, padding="same"), nn.GELU()),
        *(nn.ConvTranspose1d(16, 16, 2, 2), nn.GELU(), Apply(lambda x: x.mT)),
    )
    return classify(Summed(stack), sequences)


@row()
def convolutions_2d() -> Program:
    return classify(
        image_body(
            *(nn.Conv2d(8, 8, 3, groups=8), nn.ReLU(), nn.Conv2d(8, 16, 1), nn.ReLU()),
            *(nn.Conv2d(16, 8, 3, padding=2, dilation=2, padding_mode="reflect"), nn.ReLU()),
            *(nn.ConvTranspose2d(8, 8, 3, 2, 1, 1, groups=2), nn.ReLU()),
        ),
        images,
    )


@row()
def convolutions_3d() -> Program:
    return classify(
        image_body(
            lambda x: x.unflatten(1, (2, 4)),
            *(nn.Conv3d(2, 4, 3, padding=1), nn.ReLU(), nn.ConvTranspose3d(4, 2, 1), nn.ReLU()),
            lambda x: x.flatten(1, 2),
        ),
        images,
    )


@row()
def convolutions_in_channels_last() -> Program:
    model = image_body(nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
    model(images()[0])
    model.to(memory_format=torch.channels_last)

    def batch() -> Batch:
        x, y = images()
        return x.to(memory_format=torch.channels_last), y

    return classify(model, batch)


@row()
def pooling() -> Program:
    return classify(
        image_body(
            *(nn.MaxPool2d(3, 1), nn.Conv2d(8, 8, 1), nn.AvgPool2d(2, 1), nn.Tanh()),
            *(nn.LPPool2d(2, 2, 1), nn.FractionalMaxPool2d(2, 6), nn.AdaptiveMaxPool2d(4)),
        ),
        images,
    )


@row()
def pooling_with_indices() -> Program:
    class Pool(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            small, places = functional.max_pool2d(x, 2, return_indices=True)
            return x + functional.max_unpool2d(small.tanh(), places, 2)

    return classify(image_body(Pool(), nn.Conv2d(8, 8, 1), Pool()), images)


@row()
def interpolation() -> Program:
    def grow(mode: str, **options: object) -> Apply:
        return Apply(lambda x: functional.interpolate(x, scale_factor=1.5, mode=mode, **options))

    return classify(
        image_body(
            *(grow("nearest"), nn.Conv2d(8, 8, 3), nn.GELU(), grow("bilinear", antialias=True)),
            *(nn.Conv2d(8, 8, 3, 2), nn.GELU(), grow("bicubic", align_corners=True)),
            *(nn.PixelShuffle(2), nn.PixelUnshuffle(2), nn.Conv2d(8, 8, 3, 2)),
        ),
        images,
    )


@row()
def grid_sampling() -> Program:
    class Warp(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.theta = nn.Linear(8, 6)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            theta = self.theta(x.mean((2, 3))).view(-1, 2, 3).tanh()
            grid = functional.affine_grid(theta, x.shape, align_corners=False)
            return functional.grid_sample(x, grid, align_corners=False)

    return classify(image_body(Warp(), nn.Conv2d(8, 8, 1), Warp()), images)


@row()
def padding_of_all_kinds() -> Program:
    return classify(
        image_body(nn.ReflectionPad2d(1), nn.Conv2d(8, 8, 3), nn.ReplicationPad2d(2), nn.Tanh(),
                   nn.CircularPad2d(1), nn.ZeroPad2d(1), nn.Conv2d(8, 8, 3), nn.Tanh()),
        images,
    )  # fmt: skip


@row()
def folding() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        columns = functional.unfold(x, 3, padding=1)
        return functional.fold(columns.tanh() * columns, x.shape[2:], 3, padding=1)

    return classify(image_body(fn, nn.Conv2d(8, 8, 1), nn.GELU(), fn), images)


@row()
def bilinear_and_distances() -> Program:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pair = nn.Bilinear(WIDTH, WIDTH, WIDTH)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            near = torch.cdist(x, x[:16]).mean(1, keepdim=True)
            alike = functional.cosine_similarity(x, x.roll(1, 0)).unsqueeze(1)
            return self.pair(x, x.tanh()) * alike + near

    return classify(body(Pair(), nn.Tanh()))
