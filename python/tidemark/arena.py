"""The arena of a budget: what it served, how high it is and how it is laid out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from tidemark import _core
from tidemark.packing import Packing

ArenaUse: TypeAlias = Literal["auto", "on", "off", "poison"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ArenaSummary:
    """What the arenas of a budget have done so far, and the one used last."""

    why_not: str
    """Why the last step was not served from an arena, empty if it was."""
    num_served: int
    """Allocations that were served at planned addresses, in all steps."""
    served_bytes: int
    """Their bytes."""
    num_fallen_back: int
    """Allocations of served steps from the first on that was not the planned one."""
    num_mappings: int
    """How often address space was taken from the system."""
    block_bytes: int
    """Bytes of all that one step has in the arena used last, each block by itself."""
    height: int
    """Bytes of that arena, in which they share addresses; 0 if there is none."""
    lower_bound: int
    """No arena for the same step is lower."""

    @property
    def gap(self) -> float:
        """How far the height is above the lower bound, as a share of it."""
        return self.height / self.lower_bound - 1 if self.lower_bound else 0.0


def check_use(use: str) -> None:
    """Raises ValueError unless `use` is an `ArenaUse`."""
    known = get_args(ArenaUse)
    if use not in known:
        raise ValueError(f"unknown arena {use!r}; there are {', '.join(map(repr, known))}")


def packing_of(layout: Any) -> Packing | None:
    """Returns what the runtime gives as `layout` as a `Packing`."""
    if layout is None:
        return None
    rows, offsets, alignment, lower_bound = layout
    instance = _core.instance_of_rows(rows, alignment, None, [])
    return Packing(_core.packing_of_offsets(instance, offsets, lower_bound), instance, 0.0)
