"""inplace: which modules may write over their input, judged by what a recorded step has read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import torch

from tidemark import _runtime
from tidemark.bytes import format_bytes
from tidemark.graph import StepGraph

_torch = _runtime.require()

# Those whose in-place form computes the same bits, backward included.
_KNOWN = (torch.nn.ReLU, torch.nn.Dropout)


@dataclass(frozen=True, slots=True)
class InplaceChanges:
    """What `inplace` did. ``print`` says it in words."""

    switched: dict[str, int] = field(default_factory=dict)
    """By module path: bytes that its output takes no more."""
    kept: dict[str, str] = field(default_factory=dict)
    """By module path: why it stays as it is."""

    def __str__(self) -> str:
        lines = [
            f"{path}: in place, {format_bytes(bytes_)}" for path, bytes_ in self.switched.items()
        ]
        return "\n".join(lines + [f"{path}: {reason}" for path, reason in self.kept.items()])


def inplace(model: torch.nn.Module, graph: StepGraph) -> InplaceChanges:
    """Switches modules to in-place form where nothing can notice, by what a recorded step did.

    A ReLU or Dropout may write over its input if the step itself made that input, no op saved it
    for backward, and nobody reads or holds it later. Numbers stay the same, bit for bit, in steps
    that do what the recorded one did; where others do more with an input, autograd says so. A view
    is never written over (autograd would lay the gradient of its base out anew, and sums over that
    round differently): a switched module looks at its input in every call, and sets its `inplace`.

    Args:
        model: the module whose paths the graph knows, changed in place.
        graph: a step of it, from `tidemark.record`.

    Returns:
        What was switched, and why the rest was not.

    Raises:
        ValueError: no op of the graph lies in a module of the model.

    Example:
        >>> import tidemark, torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU())
        >>> graph = tidemark.record(lambda: model(torch.ones(2, 4)).sum().backward())
        >>> tidemark.inplace(model, graph).switched
        {'1': 64}
    """
    step = json.loads(graph.to_json())
    forward = [
        (index, event)
        for index, event in enumerate(step["events"])
        if event.get("phase", "forward") == "forward" and event.get("kind", "op") == "op"
    ]
    if not any(event.get("scope") in dict(model.named_modules()) for _, event in forward):
        raise ValueError("inplace: no op of the graph lies in a module of the model")
    changes = InplaceChanges()
    for path, module in model.named_modules():
        if not hasattr(module, "inplace") or module.inplace:
            continue
        ops = [(index, event) for index, event in forward if event.get("scope") == path]
        reason = _obstacle(module, ops, step)
        if reason:
            changes.kept[path] = reason
            continue
        module.inplace = True
        module.register_forward_pre_hook(_write_where_it_may, with_kwargs=True)
        changes.switched[path] = sum(step["values"][value]["bytes"] for value in _inputs(ops))
    return changes


def _write_where_it_may(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    is_view = (args[0] if args else kwargs["input"])._is_view()
    module.inplace = not is_view and not _torch.is_debugging()


_Ops = list[tuple[int, dict[str, Any]]]


def _inputs(ops: _Ops) -> list[int]:
    """The values that the module's ops read and did not make in the same call."""
    result: set[int] = set()
    made: set[int] = set()
    for _, event in ops:
        result.update(value for value in event.get("inputs", []) if value not in made)
        made.update(event.get("outputs", []))
        if event["name"] == ops[-1][1]["name"]:  # the last op of a call
            made.clear()
    return sorted(result)


def _obstacle(module: torch.nn.Module, ops: _Ops, step: dict[str, Any]) -> str:
    """Why the module must not write over its input, "" if it may."""
    if not isinstance(module, _KNOWN):
        return f"{type(module).__name__} is not known to compute the same in place"
    if not ops:
        return "it ran no op in the recorded step"
    for index in _inputs(ops):
        value = step["values"][index]
        reads = [at for at, event in ops if index in event.get("inputs", [])]
        outputs = [step["values"][made]["bytes"] for made in ops[-1][1].get("outputs", [])]
        if "producer" not in value:
            return "its input is older than the step"
        if value.get("handles"):
            return "its input is saved for backward"
        if any(end > reads[-1] + 1 for _, end in value.get("holds", [])):
            return "its input is read or held later"
        shapes = step["events"][value["producer"]].get("shapes", [])
        if value["bytes"] not in outputs or ops[-1][1]["shapes"][0] not in shapes:
            return "its input is a view of what another op made"
    return ""
