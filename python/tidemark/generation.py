"""generate: the training steps of well-known models, without running any of them."""

from __future__ import annotations

import os
from pathlib import Path

from tidemark import _core
from tidemark.graph import StepGraph

_ELEMENT_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def generate(
    model: str,
    *,
    batch: int | None = None,
    size: int | None = None,
    device: str | os.PathLike[str] = "cpu",
    dtype: str = "float32",
    optimizer: str = "sgd",
) -> StepGraph:
    """Makes the step of a well-known model: the ops, saved tensors and lifetimes of eager PyTorch.

    Needs no torch and no device. Sizes are exact, costs are a roofline of the device.

    Args:
        model: "resnet50", "gpt2_xl", "lstm1000", ...; `generated_models` lists them.
        batch: samples in a step; None for the model's usual number.
        size: side of an image or tokens of a sequence; None for the model's usual size.
        device: "cpu", "v100", "a100", "h100", "rtx4090" (published peaks), or a JSON file that
            `tidemark profile` wrote.
        dtype: of parameters and activations: "float32", "bfloat16" or "float16".
        optimizer: "sgd", "adamw" (with two states per parameter) or "none".

    Returns:
        The step; it says `is_estimate`.

    Raises:
        ValueError: there is no such model, device, dtype or optimizer, or a size is out of range.

    Example:
        >>> generate("resnet50", batch=8).num_ops > 500
        True
    """
    if dtype not in _ELEMENT_BYTES:
        raise ValueError(f"dtype {dtype!r} is not known; there are {', '.join(_ELEMENT_BYTES)}")
    for name, number in (("batch", batch), ("size", size)):
        if number is not None and number < 1:
            raise ValueError(f"{name} is {number}, it must be at least 1")
    return StepGraph(
        _core.generate(
            model, batch or 0, size or 0, _profile(device), _ELEMENT_BYTES[dtype], optimizer
        )
    )


def generated_models() -> dict[str, str]:
    """Returns the names that `generate` accepts, each with a line about it.

    Example:
        >>> generated_models()["vgg<depth>"]
        'VGG; 11, 13, 16 or 19; batch 32, size 224'
    """
    models = {}
    for name, description, batch, size in _core.generated_models():
        models[name] = f"{description}; batch {batch}" + (f", size {size}" if size else "")
    return models


def _profile(device: str | os.PathLike[str]) -> _core.DeviceProfile:
    path = Path(device)
    if path.suffix != ".json":
        return _core.device_profile(str(device))
    try:
        return _core.device_profile_from_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
