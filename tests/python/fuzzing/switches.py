"""What a program may switch on that changes how it runs, and never its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import tidemark
import torch
from training_loops import Loop


@dataclass(frozen=True)
class Switches:
    """Modules in in-place form, and updates in backward."""

    inplace: list[str] = field(default_factory=list)
    """Paths of modules."""
    in_backward: bool = False
    by_layer: bool = False
    """Whether these update the parameters of a layer together."""

    def make(self, program: Mapping[str, Any], undo: ExitStack) -> Loop:
        """Returns the program's loop with these on, until `undo` is closed."""
        loop: Loop = program["make"]()
        for path in self.inplace:
            loop.model.get_submodule(path).inplace = True
        if self.in_backward:
            layers = loop.model.children() if self.by_layer else ()
            groups = [layer for layer in layers if any(p.requires_grad for p in layer.parameters())]
            undo.enter_context(tidemark.optimizer_in_backward(loop.optimizer, groups=groups))
        return loop


PLAIN = Switches()


def switches_of(program: Mapping[str, Any]) -> Switches:
    """Returns what the program asks for, as far as its first step allows it."""
    inplace = modules_in_place(program) if program["INPLACE"] else []
    return Switches(inplace, program["IN_BACKWARD"], program["BY_LAYER"])


def modules_in_place(program: Mapping[str, Any]) -> list[str]:
    """Returns the modules that `tidemark.inplace` switches, by a step that it records."""
    torch.manual_seed(0)
    loop: Loop = program["make"]()
    batch = loop.next_batch()
    try:
        graph = tidemark.record(program["step"], loop, *batch)
    except Exception:
        return []  # it ends so in stock torch, or will be found to differ
    return list(tidemark.inplace(loop.model, graph).switched)
