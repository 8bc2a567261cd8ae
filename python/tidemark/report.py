"""Report: does it fit, how much slower is it, how sure is that, and what lies at the peak?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, final

from tidemark import _core
from tidemark.arena import ArenaSummary
from tidemark.graph import StepGraph
from tidemark.plan import Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class StepCounts:
    """How many steps of each kind a run has had."""

    watched: int = 0
    """Recorded, and held to the budget as they went."""
    planned: int = 0
    """Followed a plan to the byte."""
    adapted: int = 0
    """Followed a plan made for other sizes."""
    diverged: int = 0
    """Left their plan at some op."""


@final
class Report:
    """What `make_report` found. ``print(report)`` is for people, `to_json` for programs.

    The first three lines answer "does it fit, how slow, how sure"; the last says what to do next.
    """

    __slots__ = ("_json", "_text")

    def __init__(self, text: str, json_text: str) -> None:
        self._text = text
        self._json = json_text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<Report: {self._text.partition(chr(10))[0]}>"

    def to_json(self) -> str:
        """Returns everything the report says as one JSON object, in bytes and nanoseconds."""
        return self._json

    def to_dict(self) -> dict[str, Any]:
        """Returns `to_json` as a dictionary."""
        result: dict[str, Any] = json.loads(self._json)
        return result

    @property
    def fits(self) -> bool:
        """Whether the promised peak is within the budget."""
        return bool(self.to_dict()["fits"])

    @property
    def peak_bytes(self) -> int:
        """The promised peak, or the peak with everything kept where there is no plan."""
        return int(self.to_dict()["peak_bytes"])


def make_report(
    graph: StepGraph,
    plan: Plan | None = None,
    *,
    steps: StepCounts | None = None,
    measured_peak_bytes: int | None = None,
    arena: ArenaSummary | None = None,
) -> Report:
    """Returns the report of `plan` for `graph`, or of the step with everything kept.

    Args:
        graph: the step.
        plan: a plan made for it.
        steps: how many steps of each kind a run has had, if there was one.
        measured_peak_bytes: the peak that the run has measured.
        arena: where the run's steps lay, or why they were not served from an arena.

    Returns:
        The report.

    Raises:
        ValueError: the plan names events or values that the graph does not have.

    Example:
        >>> import tidemark
        >>> graph = tidemark.StepGraph.load("step.json")
        >>> report = make_report(graph, tidemark.plan(graph, graph.peak_bytes))
        >>> report.fits, str(report).splitlines()[1]
        (True, 'slower    0.0 %: 0 ns of ops computed again, on top of ...')
    """
    counts = None
    if steps is not None:
        counts = (steps.watched, steps.planned, steps.adapted, steps.diverged)
    handle = None if plan is None else plan._handle
    place = None
    if arena is not None:
        place = (arena.why_not, arena.block_bytes, arena.height, arena.lower_bound)
    text, json_text = _core.report(graph._handle, handle, counts, measured_peak_bytes, place)
    return Report(text, json_text)
