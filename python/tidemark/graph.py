"""StepGraph: one training step as data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import final

from tidemark import _core
from tidemark.bytes import format_bytes


@final
class StepGraph:
    """One recorded training step: its ops, its values and when each value is needed.

    Comes from `tidemark.record`, from a file, or from JSON that another tool wrote
    (docs/step-graph.md). It holds no tensors and does not change. ``print(graph)`` says how many
    bytes the step takes at its peak and whose they are.

    Example:
        >>> graph = StepGraph.load("step.json")
        >>> graph == StepGraph.from_json(graph.to_json())
        True
    """

    __slots__ = ("_handle",)

    def __init__(self, handle: _core.StepGraph) -> None:
        self._handle = handle

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> StepGraph:
        """Reads a graph from a JSON file.

        Args:
            path: the file.

        Returns:
            The graph.

        Raises:
            OSError: the file cannot be read.
            ValueError: it holds no step graph; the text names line, place and rule.

        Example:
            >>> StepGraph.load("step.json").num_events > 0
            True
        """
        return cls.from_json(Path(path).read_text(encoding="utf-8"))

    @classmethod
    def from_json(cls, text: str) -> StepGraph:
        """Reads a graph from JSON.

        Args:
            text: the JSON document, as `to_json` and docs/step-graph.schema.json have it.

        Returns:
            The graph.

        Raises:
            ValueError: it is no step graph; the text names line, place and rule.

        Example:
            >>> StepGraph.from_json("[]")
            Traceback (most recent call last):
            ...
            ValueError: step graph: line 1, column 1: expected an object, found '['
        """
        return cls(_core.graph_from_json(text))

    def to_json(self) -> str:
        """Returns the graph as JSON; the same graph always gives the same bytes."""
        return self._handle.to_json()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the graph to a JSON file.

        Args:
            path: the file; one that exists is replaced.

        Raises:
            OSError: the file cannot be written.

        Example:
            >>> graph = StepGraph.load("step.json")
            >>> graph.save("copy.json")
            >>> StepGraph.load("copy.json") == graph
            True
        """
        Path(path).write_text(self.to_json(), encoding="utf-8")

    @property
    def num_events(self) -> int:
        """The number of events: ops, unpacks and host allocations."""
        return self._handle.num_events

    @property
    def num_ops(self) -> int:
        """The number of ops among the events."""
        return self._handle.num_ops

    @property
    def num_values(self) -> int:
        """The number of values: versions of storages."""
        return self._handle.num_values

    @property
    def peak_bytes(self) -> int:
        """The most bytes that live at one time when everything is kept."""
        return self._handle.peak_bytes

    @property
    def step_ns(self) -> int:
        """The time of the step's own ops, in nanoseconds."""
        return self._handle.step_ns

    @property
    def device(self) -> str:
        """The device it was recorded on."""
        return self._handle.device

    @property
    def is_estimate(self) -> bool:
        """Whether it was recorded on fake tensors, so that its costs are modelled."""
        return self._handle.is_estimate

    @property
    def hash(self) -> int:
        """The hash of its structure, by which a plan knows its graph."""
        return self._handle.hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StepGraph):
            return NotImplemented
        return self._handle == other._handle

    def __hash__(self) -> int:
        return self.hash

    def __repr__(self) -> str:
        return (
            f"<StepGraph of {self.num_ops} ops, {self.num_values} values, "
            f"peak {format_bytes(self.peak_bytes)}, {self.device}>"
        )

    def __str__(self) -> str:
        from tidemark.report import make_report  # it needs this module

        return str(make_report(self))

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return StepGraph.from_json, (self.to_json(),)
