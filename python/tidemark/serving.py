"""inference: planned addresses for code that only runs forward."""

from __future__ import annotations

from typing import Any

import torch

from tidemark import _runtime
from tidemark.arena import ArenaSummary, packing_of
from tidemark.packing import Packing

_runtime.require()  # so that importing this fails with an explanation


class Inference:
    """What `inference` returns: each ``with`` block is one call, without gradients."""

    def __init__(self, *, release: bool, poison: bool) -> None:
        self._runtime: Any = _runtime.require().Inference(release, poison)
        self._no_grad = torch.no_grad()

    def __enter__(self) -> Inference:
        self._runtime.enter()
        self._no_grad.__enter__()
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        self._no_grad.__exit__(kind, *exception)
        self._runtime.leave(kind is not None)

    def close(self) -> None:
        """Gives the memory back. Calls are errors from then on; figures stay readable."""
        self._runtime.close()

    @property
    def arena(self) -> ArenaSummary:
        """What was served from planned addresses."""
        return ArenaSummary(**self._runtime.arena)

    @property
    def layout(self) -> Packing | None:
        """Where the tensors of the form called last lie; None until two calls of it were seen."""
        return packing_of(self._runtime.layout)

    def __repr__(self) -> str:
        return f"<Inference: {self.arena}>"


def inference(*, release: bool = False, poison: bool = False) -> Inference:
    """Gives calls that only run forward planned addresses in one block of memory.

    Keep what it returns, and enter it once per call: the first two calls with inputs of a size show
    what they allocate, from the third on they are served. What the program keeps of a call stays
    valid, and the numbers are the same.

    Args:
        release: give the memory back after every call, instead of keeping it for the next one.
        poison: overwrite freed memory, to find its readers: a debugging aid.

    Returns:
        A context manager to be entered for each call.

    Raises:
        ImportError: the torch half does not work here; the text says why.

    Example:
        >>> import tidemark, torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU())
        >>> serving = tidemark.inference()
        >>> for _ in range(4):
        ...     with serving:
        ...         answer = model(torch.ones(2, 8)).argmax().item()
        >>> serving.arena.num_mappings
        1
        >>> serving.close()
    """
    return Inference(release=release, poison=poison)
