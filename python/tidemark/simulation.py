"""simulate: the bytes live at every event of a step. validate: is this plan legal for it?"""

from __future__ import annotations

from dataclasses import dataclass

from tidemark import _core
from tidemark.graph import StepGraph
from tidemark.plan import Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulation:
    """What a counter of live bytes would read in a step, and what the step's ops cost."""

    peak_bytes: int
    """The most bytes that live at one time."""
    peak_event: int
    """The first event that reaches it."""
    curve: list[tuple[int, int, int]]
    """Per event the bytes live before it, at the highest inside it, and after it."""
    step_ns: int
    """The time of the step's own ops, in nanoseconds."""
    recompute_ns: int
    """The time of the ops computed again, in nanoseconds."""
    num_replays: int
    """The number of ops computed again."""

    @property
    def cost_ns(self) -> int:
        """The time of all ops, in nanoseconds."""
        return self.step_ns + self.recompute_ns


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """The first rule that a plan breaks."""

    rule: str
    """The rule, as csrc/tidemark/plan/validate.h names it."""
    event: int | None
    """The event at which it is broken; None for the plan as a whole."""
    value: int | None
    """The value at fault, if it is one."""
    sentence: str
    """What is wrong, in words."""

    def __str__(self) -> str:
        return self.sentence


def simulate(graph: StepGraph, plan: Plan | None = None) -> Simulation:
    """Returns the bytes live at every event when `plan` is followed: exact, to the byte.

    Args:
        graph: the step.
        plan: the plan to follow; without one everything is kept.

    Returns:
        Peak, curve and cost.

    Raises:
        ValueError: the plan asks for the impossible; the text names event and value.

    Example:
        >>> graph = StepGraph.load("step.json")
        >>> result = simulate(graph)
        >>> result.peak_bytes == max(peak for before, peak, after in result.curve)
        True
    """
    result = _core.simulate(graph._handle, None if plan is None else plan._handle)
    return Simulation(
        peak_bytes=result.peak_bytes,
        peak_event=result.peak_event,
        curve=result.curve,
        step_ns=result.step_ns,
        recompute_ns=result.recompute_ns,
        num_replays=result.num_replays,
    )


def validate(graph: StepGraph, plan: Plan) -> Violation | None:
    """Checks independently of planner and simulator that `plan` is legal and promises the truth.

    Args:
        graph: the step.
        plan: the plan in question.

    Returns:
        The first broken rule, or None for a plan that may be followed.

    Example:
        >>> import tidemark
        >>> graph = StepGraph.load("step.json")
        >>> print(validate(graph, tidemark.plan(graph, graph.peak_bytes)))
        None
    """
    found = _core.validate(graph._handle, plan._handle)
    if found is None:
        return None
    rule, event, value, sentence = found
    return Violation(
        rule=rule,
        event=None if event < 0 else event,
        value=None if value < 0 else value,
        sentence=sentence,
    )
