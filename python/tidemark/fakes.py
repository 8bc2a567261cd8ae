"""Steps without memory and work: ops are answered with tensors that have sizes but no data."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    UnsupportedFakeTensorException,
)
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_map_only

from tidemark import _runtime
from tidemark.errors import NotSupported
from tidemark.graph import StepGraph

_torch: Any = _runtime.require()

_Built = TypeVar("_Built")


class FakeDevice:
    """Where `fn` runs while it is estimated.

    While entered, no kernel of the program runs and nothing of its parameters, buffers, gradients
    and optimizer state changes for good. Models made of PyTorch's fake or meta tensors take part
    as if they were real.
    """

    def __init__(self, device: str) -> None:
        _check_device(device)
        self._mode = FakeTensorMode()
        self._saved = _ProgramState()
        self._swapped = _SwappedTensors()
        self._device: Any = None

    @contextmanager
    def entered(self) -> Iterator[FakeDevice]:
        """Runs what is inside with ops answered, and restores the program's state after it."""
        # First of all: it refuses an estimate within another before anything is exchanged.
        self._device = _runtime.require_sound().FakeDevice(self._describe)
        with (
            closing(self._device),
            self._saved.kept(),
            self._swapped.swapped(),
            _disable_current_modes(),
        ):
            yield self

    def build(self, make: Callable[[], _Built]) -> _Built:
        """Returns `make()`, whose tensors have no data and are older than any step."""
        self._device = _runtime.require_sound().FakeDevice(self._describe)
        try:
            made: _Built = self._device.build(make)
        finally:
            self._device.close()
        return made

    def begin_step(self) -> None:
        """A step begins."""
        self._device.begin_step()

    def end_step(self, graph: StepGraph) -> None:
        """The step that began last was recorded as `graph`."""
        self._device.end_step(graph.to_json())

    def estimated(self, graph: StepGraph) -> StepGraph:
        """Returns `graph` with modelled costs instead of measured ones."""
        return StepGraph.from_json(self._device.estimated(graph.to_json()))

    def _describe(self, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The results of `op` as fake tensors; a result that is an argument is the argument."""
        originals: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

        def fake(tensor: torch.Tensor) -> torch.Tensor:
            meta = torch.empty_strided(
                tensor.size(), tensor.stride(), dtype=tensor.dtype, device="meta"
            )
            result = FakeTensor(self._mode, meta, tensor.device)
            originals[id(result)] = result, tensor
            return result

        args, kwargs = tree_map_only(torch.Tensor, fake, (args, kwargs))
        try:
            with self._mode:
                results = op(*args, **kwargs)
        except (
            DataDependentOutputException,
            DynamicOutputShapeException,
            UnsupportedFakeTensorException,
        ) as error:
            raise NotSupported(
                f"cannot estimate a step with {op}: what it returns depends on data ({error}); "
                "record the real step instead"
            ) from error

        def original(tensor: torch.Tensor) -> torch.Tensor:
            return originals[id(tensor)][1] if id(tensor) in originals else tensor

        return tree_map_only(torch.Tensor, original, results)


def _check_device(device: str) -> None:
    kind = torch.device(device).type
    if kind != "cpu":
        raise NotSupported(
            f"estimates are of steps on the CPU; {kind!r} is not there yet. The sizes are the same "
            "where the model runs the same ops there: build it on the CPU and write device='cpu'"
        )


def _objects(kind: type) -> list[Any]:
    # type() and not isinstance: proxies answer to __class__ by running code.
    return [found for found in gc.get_objects() if issubclass(type(found), kind)]


def _is_dataless(tensor: torch.Tensor) -> bool:
    if isinstance(tensor, FakeTensor):
        return True
    # A wrapper has no storage to exchange: those of the tensors within it are what an op reads.
    wraps = type(tensor).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__
    return not wraps and tensor.is_meta and tensor.layout is torch.strided


class _ProgramState:
    """What a step changes in Python objects: gradients, optimizers, registered tensors."""

    @contextmanager
    def kept(self) -> Iterator[None]:
        tensors = [found for found in _objects(torch.Tensor) if found.is_leaf]
        gradients = [(t, t.grad) for t in tensors if t.requires_grad]
        # The step lets gradients die, and these live on here: stand-ins die in their place.
        for tensor, gradient in gradients:
            if gradient is not None and gradient.layout is torch.strided:
                (tensor.grad,) = _torch.make_dataless([gradient])
        dicts = [(d, dict(d)) for d in self._dicts()]
        generator = torch.get_rng_state()
        try:
            yield
        finally:
            for tensor, gradient in gradients:
                tensor.grad = gradient
            for found, content in dicts:
                found.clear()
                found.update(content)
            torch.set_rng_state(generator)

    def _dicts(self) -> Iterator[dict[Any, Any]]:
        for optimizer in _objects(torch.optim.Optimizer):
            yield optimizer.state
            yield from optimizer.state.values()
            yield from optimizer.param_groups
        for module in _objects(torch.nn.Module):
            yield module._parameters
            yield module._buffers


class _SwappedTensors:
    """The program's fake and meta tensors, exchanged in place for plain ones without data."""

    @contextmanager
    def swapped(self) -> Iterator[None]:
        theirs = [t for t in _objects(torch.Tensor) if _is_dataless(t)]
        ours = _torch.make_dataless(theirs)
        for their, our in zip(theirs, ours, strict=True):
            our.requires_grad_(their.requires_grad and their.is_leaf)
            torch._C._swap_tensor_impl(their, our)
        try:
            yield
        finally:
            for their, our in zip(theirs, ours, strict=True):
                torch._C._swap_tensor_impl(their, our)
