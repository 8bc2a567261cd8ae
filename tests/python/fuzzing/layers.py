"""Modules of torch.nn as they stand in models."""

from __future__ import annotations

from fuzzing.ops import SIZES, shapes
from fuzzing.writer import Writer


def linear(w: Writer) -> None:
    """A linear layer over the last dimension, plain or with its weight made otherwise."""
    var = w.pick(lambda v: v.shape[-1] <= 64)
    if var is None:
        return
    size = w.choose(SIZES)
    wrap = w.choose((
        "{0}", "{0}", "{0}",
        "nn.utils.parametrizations.weight_norm({0})",
        "nn.utils.parametrizations.spectral_norm({0})",
        "nn.utils.parametrizations.orthogonal({0}, orthogonal_map='cayley')",
        "nn.Sequential({0}, nn.ReLU(inplace=True), nn.Dropout(0.2))",
        "nn.Sequential({0}, nn.ReLU())", "nn.Sequential({0}, nn.Dropout(0.2), nn.ReLU())",
        "nn.Sequential({0}, nn.GELU(), nn.Linear({2}, {2}))",
        "nn.Sequential({0}, nn.LayerNorm({2}), nn.Tanh())",
    ))  # fmt: skip
    bias = w.choose(("", ", bias=False"))
    made = wrap.format(f"nn.Linear({var.shape[-1]}, {size}{bias})", var.shape[-1], size)
    var.is_writable = False
    is_writable = wrap == "{0}"
    w.let(f"{w.module(made)}({var.name})", (*var.shape[:-1], size), is_writable=is_writable)
    if is_writable and w.has_inplace:
        activation(w)


def keep_shape(w: Writer) -> None:
    """A module that keeps the shape, norms and dropout above all."""
    var = w.pick()
    if var is None:
        return
    channels, last = var.shape[0], var.shape[-1]
    rank = len(var.shape)
    options = [
        f"nn.LayerNorm({last})", f"nn.RMSNorm({last})", "nn.Dropout(0.3)", "nn.PReLU()",
        "nn.AlphaDropout(0.1)", f"nn.GroupNorm({2 if channels % 2 == 0 else 1}, {channels})",
        "nn.ReLU()", "nn.GELU()", "nn.Softmax(-1)", "nn.Dropout(0.1)", "nn.Identity()",
    ]  # fmt: skip
    if rank <= 3:
        norm = f"nn.BatchNorm{max(rank - 1, 1)}d({channels}"
        options += [norm + ")", norm + ", momentum=None)", norm + ", track_running_stats=False)"]
        options += [norm + ").eval()"]
    if rank in (2, 3) and all(size > 1 for size in var.shape[1:]):
        options += [f"nn.InstanceNorm{rank - 1}d({channels}, affine=True)"]
        options += [f"nn.Dropout{rank - 1}d(0.3)", "nn.FeatureAlphaDropout(0.2)"]
    var.is_writable = False
    w.let(f"{w.module(w.choose(options))}({var.name})", var.shape)


def activation(w: Writer) -> None:
    """A module that may write over its input: nobody else knows it by a name any more."""
    var = w.pick(lambda v: v.is_writable)
    if var is None:
        return
    var.is_writable = False
    w.line(f"{var.name} = {w.module(w.choose(('nn.ReLU()', 'nn.Dropout(0.2)')))}({var.name})")


def sequence(w: Writer) -> None:
    """A recurrent layer, attention, or a convolution over time."""
    var = w.pick(shapes(2))
    if var is None:
        return
    time, size = var.shape
    hidden = w.choose((4, 8))
    options = [
        (f"nn.GRU({size}, {hidden}, batch_first=True)", "{0}({1})[0]", (time, hidden)),
        (f"nn.LSTM({size}, {hidden}, 2, dropout=0.2, batch_first=True)", "{0}({1})[0]",
         (time, hidden)),
        (f"nn.LSTM({size}, {hidden}, bidirectional=True, batch_first=True)", "{0}({1})[0]",
         (time, 2 * hidden)),
        (f"nn.RNN({size}, {hidden}, batch_first=True)", "{0}({1})[1][-1]", (hidden,)),
        (f"nn.Conv1d({time}, {hidden}, 3, padding=1)", "{0}({1})", (hidden, size)),
        (f"nn.ConvTranspose1d({time}, {hidden}, 2, 2)", "{0}({1})", (hidden, 2 * size)),
    ]  # fmt: skip
    if size % 2 == 0:
        heads = f"nn.MultiheadAttention({size}, 2, dropout=0.1, batch_first=True)"
        layer = f"nn.TransformerEncoderLayer({size}, 2, 8, batch_first=True)"
        options += [(heads, "{0}({1}, {1}, {1})[0]", var.shape), (layer, "{0}({1})", var.shape)]
    made, call, shape = w.choose(options)
    var.is_writable = False
    w.let(call.format(w.module(made), var.name), shape)


def image(w: Writer) -> None:
    """A convolution or pooling."""
    var = w.pick(lambda v: len(v.shape) == 3 and min(v.shape[1:]) > 1)
    if var is None:
        return
    channels, height, width = var.shape
    half = (height // 2, width // 2)
    made, shape = w.choose((
        (f"nn.Conv2d({channels}, 4, 3, padding=1)", (4, height, width)),
        (f"nn.Conv2d({channels}, 8, 1, bias=False)", (8, height, width)),
        (f"nn.Conv2d({channels}, {channels}, 3, padding=1, groups={channels})", var.shape),
        (f"nn.Conv2d({channels}, 4, 3, padding=2, dilation=2)", (4, height, width)),
        (f"nn.ConvTranspose2d({channels}, 4, 2, 2)", (4, 2 * height, 2 * width)),
        ("nn.MaxPool2d(2)", (channels, *half)), ("nn.AvgPool2d(2)", (channels, *half)),
        ("nn.AdaptiveAvgPool2d(2)", (channels, 2, 2)),
        ("nn.Upsample(scale_factor=2)", (channels, 2 * height, 2 * width)),
        ("nn.Upsample(scale_factor=2, mode='bilinear')", (channels, 2 * height, 2 * width)),
        ("nn.PixelUnshuffle(1)", var.shape), ("nn.ZeroPad2d(1)", (channels, height + 2, width + 2)),
        ("nn.LocalResponseNorm(2)", var.shape), ("nn.Dropout2d(0.2)", var.shape),
    ))  # fmt: skip
    if max(shape) > 16:
        return
    var.is_writable = False
    is_writable = "Conv" in made
    layout = w.choose(("", "", ".contiguous(memory_format=torch.channels_last)"))
    w.let(f"{w.module(made)}({var.name}{layout})", shape, is_writable=is_writable)


def embed(w: Writer) -> None:
    """Looks up vectors by numbers that backward does not reach."""
    var = w.pick(lambda v: len(v.shape) == 1)
    if var is None:
        return
    made = w.choose(("nn.Embedding(10, 4)", "nn.Embedding(10, 8, padding_idx=0)",
                     "nn.Embedding(10, 4, max_norm=1.0)"))  # fmt: skip
    size = int(made.split(",")[1].strip(" )"))
    numbers = f"({var.name}.detach().abs() * 7).nan_to_num(0).clamp(0, 9).long()"
    w.let(f"{w.module(made)}({numbers})", (var.shape[0], size), is_writable="max" not in made)


def weight(w: Writer) -> None:
    """A parameter of the model used by itself: as a factor, a summand or a matrix."""
    var = w.pick(lambda v: v.shape[-1] <= 64)
    if var is None:
        return
    last = var.shape[-1]
    made, text = w.choose((
        (f"nn.Parameter(torch.ones({last}))", "{1} * {0}"),
        (f"nn.Parameter(torch.zeros({last}))", "{1} + {0}"),
        (f"nn.Parameter(torch.randn({last}, {last}) * 0.1)", "{1} @ {0}"),
        (f"nn.Parameter(torch.randn({last}, {last}) * 0.1)", "{1} @ {0}.tril()"),
        (f"nn.Parameter(torch.randn({last}, {last}) * 0.1)", "F.linear({1}, {0}, {0}[0])"),
    ))  # fmt: skip
    var.is_writable = False
    w.let(text.format(w.module(made), var.name), var.shape, is_writable=True)
