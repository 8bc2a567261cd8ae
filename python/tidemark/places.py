"""Where the program is: the module path and source line of what runs now, in watched steps."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

import torch

_INSIDE = tuple(os.path.dirname(os.path.abspath(str(path))) for path in (torch.__file__, __file__))


class PlaceTracker:
    """Knows the innermost running module by hooks on all modules, while it is entered."""

    def __init__(self) -> None:
        self._stack: list[str] = []
        self._names: WeakKeyDictionary[torch.nn.Module, str] = WeakKeyDictionary()
        self._handles: list[Any] = []

    def __enter__(self) -> PlaceTracker:
        hooks = torch.nn.modules.module
        self._handles = [
            hooks.register_module_forward_pre_hook(self._enter_module),
            hooks.register_module_forward_hook(self._leave_module, always_call=True),
        ]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._stack.clear()

    def find(self) -> tuple[str, str]:
        """Returns the innermost module's path and the innermost line outside torch."""
        return self._stack[-1] if self._stack else "", _source_line()

    def _enter_module(self, module: torch.nn.Module, args: object) -> None:
        if torch.compiler.is_compiling():  # hooks become part of what is compiled
            return
        if not self._stack:
            self._names.update((child, name) for name, child in module.named_modules())
        self._stack.append(self._names.get(module, type(module).__name__))

    def _leave_module(self, module: torch.nn.Module, args: object, result: object) -> None:
        if not torch.compiler.is_compiling() and self._stack:
            self._stack.pop()


def _source_line() -> str:
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if not path.startswith(_INSIDE) and not path.startswith("<"):
            return f"{os.path.basename(path)}:{frame.f_lineno}"
        if frame.f_back is None:
            return ""
        frame = frame.f_back
    return ""
