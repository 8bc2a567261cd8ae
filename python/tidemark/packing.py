"""pack: buffers with fixed lifetimes get addresses in the lowest arena that can be found."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from tidemark import _core
from tidemark.bytes import format_bytes, parse_bytes
from tidemark.graph import StepGraph


@dataclass(frozen=True, slots=True)
class Buffer:
    """Something that takes `size` bytes from time `begin` until just before time `end`.

    Example:
        >>> Buffer(0, 3, 4096, name="conv1")
        Buffer(begin=0, end=3, size=4096, name='conv1', alignment=1, offset=None)
    """

    begin: int
    """The first time at which it is live, on any axis of integers."""
    end: int
    """The first time at which it is not live any more."""
    size: int
    """Bytes."""
    name: str = ""
    """For people; also tells equal buffers apart, whatever their order."""
    alignment: int = 1
    """Its offset is a multiple of this."""
    offset: int | None = None
    """Where it must lie; chosen by the packer if there is none."""


@final
class Packing:
    """Where everything lies, and how good that is. ``print(packing)`` says it in words."""

    __slots__ = ("_handle", "_instance", "seconds")

    seconds: float
    """How long it took."""

    def __init__(self, handle: _core.Packing, instance: _core.Instance, seconds: float) -> None:
        self._handle = handle
        self._instance = instance
        self.seconds = seconds

    @property
    def status(self) -> str:
        """One of "optimal", "feasible", "infeasible" and "timeout".

        Optimal: no layout is lower. Feasible: it fits the capacity, or none was given, and a lower
        one may exist. Infeasible: proven not to fit, and `misfit` says why. Timeout: a limit came
        before it fitted; the layout is the best found.
        """
        return self._handle.status

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        """What was packed."""
        return tuple(
            Buffer(begin, end, size, name, alignment, offset)
            for begin, end, size, alignment, offset, name in self._instance.rows
        )

    @property
    def offsets(self) -> list[int]:
        """One offset per buffer; none if fixed offsets contradict each other."""
        return self._handle.offsets

    @property
    def height(self) -> int:
        """The bytes of the arena."""
        return self._handle.height

    @property
    def lower_bound(self) -> int:
        """No layout is lower than this."""
        return self._handle.lower_bound

    @property
    def gap(self) -> float:
        """How far the height is above the lower bound, as a share of it."""
        return self._handle.gap

    @property
    def misfit(self) -> list[int]:
        """If infeasible: indices of buffers that cannot be placed together."""
        return self._handle.misfit

    @property
    def is_irreducible(self) -> bool:
        """Whether every buffer of `misfit` was shown to be needed for it."""
        return self._handle.is_irreducible

    def baselines(self) -> dict[str, int]:
        """Returns the heights that published planners reach on the same buffers, by name.

        Raises:
            ValueError: there are fixed offsets or other rules that these planners do not know.
        """
        return _core.baseline_heights(self._instance)

    def to_csv(self) -> str:
        """Returns the buffers as CSV with their offsets, as `tidemark pack -o` writes it."""
        return _core.packing_to_csv(self._instance, self._handle)

    def to_svg(self) -> str:
        """Returns a picture: time to the right, addresses up, one box per buffer."""
        return _core.packing_to_svg(self._instance, self._handle)

    def summary(self) -> dict[str, Any]:
        """Returns what `tidemark pack --json` prints."""
        names = ("status", "height", "lower_bound", "gap", "seconds")
        facts = {name: getattr(self, name) for name in names}
        counts = {"num_buffers": self._instance.num_buffers, "total_bytes": self._total_bytes()}
        if self.status != "infeasible":
            return facts | counts
        misfit = {"misfit": self.misfit, "is_irreducible": self.is_irreducible}
        return facts | counts | misfit

    def _total_bytes(self) -> int:
        return sum(size for _, _, size, _, _, _ in self._instance.rows)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Packing):
            return NotImplemented
        return self._handle == other._handle

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        height = format_bytes(self.height)
        return f"<Packing of {self._instance.num_buffers} buffers, height {height}, {self.status}>"

    def __str__(self) -> str:
        total = self._total_bytes()
        share = f", {100 * self.height / total:.1f} % of it" if total else ""
        lines = [
            f"height      {format_bytes(self.height)} ({self.height} bytes), {self.status}",
            f"lower bound {format_bytes(self.lower_bound)} ({self.lower_bound} bytes), "
            f"gap {100 * self.gap:.3f} %",
            f"without     {format_bytes(total)} for {self._instance.num_buffers} buffers if none "
            f"shared{share}",
        ]
        if self.status == "infeasible":
            lines.append(self._why())
        return "\n".join(lines)

    def _why(self, most: int = 8) -> str:
        rows = self._instance.rows
        named = [rows[row][5] or f"#{row}" for row in self.misfit[:most]]
        rest = len(self.misfit) - len(named)
        more = f" and {rest} more" if rest else ""
        return (
            f"does not fit: {len(self.misfit)} buffers exclude each other: {', '.join(named)}{more}"
        )


def pack(
    buffers: StepGraph | Iterable[Buffer | tuple[int, int, int]],
    *,
    capacity: int | str | None = None,
    alignment: int = 1,
    block_limit: int | str | None = None,
    forbidden: Sequence[tuple[int, int]] = (),
    time_limit: float = 10.0,
    work_limit: int | None = None,
) -> Packing:
    """Finds an offset for every buffer so that none that live at one time overlap.

    Args:
        buffers: what to place: `Buffer` objects, or tuples (begin, end, size) with lifetimes
            [begin, end); or a step, whose own allocations are then placed.
        capacity: stop as soon as everything fits in this, an int of bytes or a size such as
            "6 GiB"; without it the arena is made as low as can be found.
        alignment: every offset is a multiple of this and every size is rounded up to it.
        block_limit: the arena is a row of blocks of this size, none of which a buffer leaves.
        forbidden: ranges (begin, end) of addresses that nothing may touch.
        time_limit: seconds after which the search stops, at the latest.
        work_limit: elementary steps after which it stops, the same on every machine. Without one
            200 million per second of time limit: less than a machine of today does, so that the
            clock seldom decides.

    Returns:
        The layout, which has been validated, and what is known about lower ones. The same input
        gives the same layout, whatever the order of the buffers.

    Raises:
        ValueError: a buffer, a size or a limit is no such thing; the text names it.

    Example:
        >>> packing = pack([(0, 2, 64), (1, 3, 32), (2, 4, 64)])
        >>> packing.height, packing.status
        (96, 'optimal')
    """
    limit = None if block_limit is None else parse_bytes(block_limit)
    ranges = list(forbidden)
    if isinstance(buffers, StepGraph):
        instance = _core.instance_of_graph(buffers._handle, alignment, limit, ranges)
    else:
        rows = [_row(buffer) for buffer in buffers]
        instance = _core.instance_of_rows(rows, alignment, limit, ranges)
    most = None if capacity is None else parse_bytes(capacity)
    began = time.perf_counter()
    handle = _core.pack(instance, most, time_limit, work_limit)
    return Packing(handle, instance, time.perf_counter() - began)


def load_buffers(path: str | os.PathLike[str]) -> list[Buffer]:
    """Reads buffers from a CSV file.

    Args:
        path: a file with the columns id, lower, upper, size and, where wanted, alignment and fixed
            (an offset that the buffer must have). Others are ignored.

    Returns:
        One buffer per line, named by its id.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds something else; the text names line and column.
    """
    text = Path(path).read_text(encoding="utf-8")
    try:
        rows = _core.instance_of_csv(text).rows
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return [
        Buffer(begin, end, size, name, alignment, offset)
        for begin, end, size, alignment, offset, name in rows
    ]


def _row(buffer: Buffer | tuple[int, int, int]) -> tuple[int, int, int, int, int | None, str]:
    if isinstance(buffer, tuple):
        buffer = Buffer(*buffer)
    return (
        buffer.begin,
        buffer.end,
        buffer.size,
        buffer.alignment,
        buffer.offset,
        buffer.name,
    )
