"""Writer: the source of a model's forward pass as it grows, and what is named in it.

The first dimension of every tensor is the batch, whose size is never written: it may change from
step to step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass
class Var:
    """A tensor of floats that the program has named."""

    name: str
    shape: tuple[int, ...]
    """Without the batch."""
    is_writable: bool = False
    """Whether nothing saved it so far, so that writing in place is legal."""


@dataclass
class Writer:
    """Draws choices and appends lines."""

    draw: Draw
    inits: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    preludes: set[str] = field(default_factory=set)
    """Definitions that the program needs, see PRELUDES."""
    tensors: list[Var] = field(default_factory=list)
    modules: dict[str, list[str]] = field(default_factory=dict)
    """Attributes by constructor, so that a module can be called again."""
    is_dynamic: bool = False
    """Whether steps may differ from each other in their ops."""
    has_inplace: bool = False
    """Whether there should be modules that may be switched to in-place form."""
    updates_in_backward: bool = False
    """Whether the step must do no more with gradients than to update by them."""
    _indent: int = 2
    _count: int = 0

    def choose(self, options: Sequence[T]) -> T:
        """Returns one of them; what shrinks best comes first."""
        return self.draw(st.sampled_from(options))

    def one_in(self, n: int) -> bool:
        """Returns True once in n times."""
        return self.draw(st.integers(0, n - 1)) == n - 1

    def pick(self, ok: Callable[[Var], bool] = lambda _: True) -> Var | None:
        """Returns a tensor that is `ok`, more often than not the latest."""
        found = [v for v in reversed(self.tensors) if ok(v)]
        if not found:
            return None
        return self.choose(found) if self.one_in(2) else found[0]

    def line(self, text: str) -> None:
        """Appends a line at the present depth."""
        self.lines.append("    " * self._indent + text)

    def name(self, prefix: str = "t") -> str:
        """Returns a name that is new."""
        self._count += 1
        return f"{prefix}{self._count}"

    def let(self, expression: str, shape: tuple[int, ...], *, is_writable: bool = False) -> Var:
        """Names what an expression gives."""
        var = Var(self.name(), shape, is_writable)
        self.line(f"{var.name} = {expression}")
        self.tensors.append(var)
        return var

    def module(self, constructor: str) -> str:
        """Returns an attribute made with this constructor: a new one, or one that is there."""
        known = self.modules.setdefault(constructor, [])
        if known and self.one_in(3):
            return self.choose(known)
        name = self.attribute(constructor)
        known.append(name)
        return name

    def attribute(self, expression: str) -> str:
        """Returns an attribute of the model that begins as `expression`."""
        name = f"self.{self.name('m')}"
        self.inits.append(f"        {name} = {expression}")
        return name

    def buffer(self, expression: str) -> str:
        """Returns a buffer of the model that begins as `expression`."""
        name = self.name("b")
        self.inits.append(f'        self.register_buffer("{name}", {expression})')
        return f"self.{name}"

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Indents what is written inside; it must not be empty."""
        self.line(head)
        self._indent += 1
        yield
        self._indent -= 1
