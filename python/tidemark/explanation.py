"""explain: why a plan keeps what it keeps, and what more memory would buy."""

from __future__ import annotations

import json
from typing import Any, final

from tidemark import _core
from tidemark.graph import StepGraph
from tidemark.plan import Plan


@final
class Explanation:
    """What `explain` found. ``print(explanation)`` is for people, `to_json` for programs."""

    __slots__ = ("_json", "_text")

    def __init__(self, text: str, json_text: str) -> None:
        self._text = text
        self._json = json_text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<Explanation: {self._text.partition(chr(10))[0]}>"

    def to_json(self) -> str:
        """Returns everything it says as one JSON object, in bytes and nanoseconds."""
        return self._json

    def to_dict(self) -> dict[str, Any]:
        """Returns `to_json` as a dictionary."""
        result: dict[str, Any] = json.loads(self._json)
        return result


def explain(graph: StepGraph, plan: Plan, *, scope: str = "", max_values: int = 20) -> Explanation:
    """Says why a plan keeps and recomputes what it does, and what more memory would buy.

    For every value that backward wants: whether it is kept, computed again or cannot be, why, and
    what it costs and saves. Then the op that sets the peak, what is dropped by op and by module
    with the dearest first, and how fast the step would be with larger budgets (they are planned
    for this).

    Args:
        graph: the step.
        plan: a plan made for it.
        scope: only the values of this module and of those below it.
        max_values: how many values to tell about, the largest first.

    Returns:
        The explanation.

    Raises:
        PlanMismatch: the plan was made for another step.
        ValueError: no value that backward wants is in `scope`.

    Example:
        >>> import tidemark
        >>> graph = tidemark.StepGraph.load("step.json")
        >>> why = explain(graph, tidemark.plan(graph, graph.peak_bytes))
        >>> {value["fate"] for value in why.to_dict()["values"]}
        {'kept'}
    """
    plan.check_graph(graph)
    text, json_text = _core.explain(graph._handle, plan._handle, scope, max_values)
    return Explanation(text, json_text)
