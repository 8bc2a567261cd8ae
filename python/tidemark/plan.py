"""Plan: what to keep, what to drop and what to compute again; and `plan`, which makes one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, final

from tidemark import _core
from tidemark.bytes import format_bytes, format_duration, parse_bytes
from tidemark.errors import BudgetInfeasible, PlanMismatch
from tidemark.graph import StepGraph

_EXACT = "exact"


@final
class Plan:
    """What a step keeps, drops and computes again, and the peak and the time that this promises.

    Comes from `plan`, or from a file that another process wrote. It names no tensors and does not
    change. ``print(plan)`` is its report.

    Example:
        >>> import tidemark
        >>> graph = tidemark.StepGraph.load("step.json")
        >>> made = tidemark.plan(graph, graph.peak_bytes)
        >>> Plan.from_json(made.to_json()) == made
        True
    """

    __slots__ = ("_graph", "_handle", "_plan_seconds")

    def __init__(
        self,
        handle: _core.Plan,
        graph: StepGraph | None = None,
        plan_seconds: float | None = None,
    ) -> None:
        self._handle = handle
        self._graph = graph
        self._plan_seconds = plan_seconds

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Reads a plan from a JSON file.

        Args:
            path: the file.

        Returns:
            The plan.

        Raises:
            OSError: the file cannot be read.
            ValueError: it holds no plan; the text names line, place and rule.

        Example:
            >>> import tidemark
            >>> graph = tidemark.StepGraph.load("step.json")
            >>> tidemark.plan(graph, graph.peak_bytes).save("plan.json")
            >>> Plan.load("plan.json").peak_bytes <= graph.peak_bytes
            True
        """
        return cls.from_json(Path(path).read_text(encoding="utf-8"))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Reads a plan from JSON.

        Args:
            text: the JSON document, as `to_json` has it.

        Returns:
            The plan.

        Raises:
            ValueError: it is no plan; the text names line, place and rule.

        Example:
            >>> Plan.from_json("[]")
            Traceback (most recent call last):
            ...
            ValueError: plan: line 1, column 1: expected an object, found '['
        """
        return cls(_core.plan_from_json(text))

    def to_json(self) -> str:
        """Returns the plan as JSON; the same plan always gives the same bytes."""
        return self._handle.to_json()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the plan to a JSON file.

        Args:
            path: the file; one that exists is replaced.

        Raises:
            OSError: the file cannot be written.

        Example:
            >>> import tidemark
            >>> graph = tidemark.StepGraph.load("step.json")
            >>> tidemark.plan(graph, graph.peak_bytes).save("plan.json")
        """
        Path(path).write_text(self.to_json(), encoding="utf-8")

    @property
    def policy(self) -> str:
        """The policy that found it."""
        return self._handle.policy

    @property
    def budget_bytes(self) -> int:
        """The budget it was made for."""
        return self._handle.budget_bytes

    @property
    def peak_bytes(self) -> int:
        """The peak it promises."""
        return self._handle.peak_bytes

    @property
    def unplanned_peak_bytes(self) -> int:
        """The peak with everything kept."""
        return self._handle.unplanned_peak_bytes

    @property
    def floor_bytes(self) -> int:
        """No plan at all can run the step in less."""
        return self._handle.floor_bytes

    @property
    def least_feasible_bytes(self) -> int | None:
        """The least budget at which a policy found a plan, if that was asked for."""
        return self._handle.least_feasible_bytes

    @property
    def step_ns(self) -> int:
        """The time of the step's own ops, in nanoseconds."""
        return self._handle.step_ns

    @property
    def recompute_ns(self) -> int:
        """The recorded time of the ops it computes again, in nanoseconds."""
        return self._handle.recompute_ns

    @property
    def lower_bound_ns(self) -> int:
        """No plan within the budget computes again for less than this, in nanoseconds."""
        return self._handle.lower_bound_ns

    @property
    def overhead(self) -> float:
        """The time it adds, as a share of the step's."""
        return self.recompute_ns / self.step_ns if self.step_ns else 0.0

    @property
    def num_replays(self) -> int:
        """The number of ops it computes again."""
        return self._handle.num_replays

    @property
    def num_ops(self) -> int:
        """The number of ops of its step."""
        return self._handle.num_ops

    @property
    def num_values(self) -> int:
        """The number of values of its step."""
        return self._handle.num_values

    @property
    def keep(self) -> tuple[str, ...]:
        """What was to be kept, as it was asked for."""
        return tuple(self._handle.keep)

    @property
    def recompute(self) -> tuple[str, ...]:
        """What was to be computed again, as it was asked for."""
        return tuple(self._handle.recompute)

    @property
    def graph_hash(self) -> int:
        """The hash of the graph it was made for."""
        return self._handle.graph_hash

    @property
    def plan_seconds(self) -> float | None:
        """How long planning took; None for a plan from a file. No part of equality or JSON."""
        return self._plan_seconds

    def summary(self) -> dict[str, Any]:
        """Returns what `tidemark plan --json` prints: its promises, in bytes and nanoseconds."""
        return {
            "fits": self.peak_bytes <= self.budget_bytes,
            "budget_bytes": self.budget_bytes,
            "peak_bytes": self.peak_bytes,
            "unplanned_peak_bytes": self.unplanned_peak_bytes,
            "floor_bytes": self.floor_bytes,
            "least_feasible_bytes": self.least_feasible_bytes,
            "step_ns": self.step_ns,
            "recompute_ns": self.recompute_ns,
            "overhead": self.overhead,
            "lower_bound_ns": self.lower_bound_ns,
            "policy": self.policy,
            "plan_seconds": self.plan_seconds,
            "num_ops": self.num_ops,
            "num_values": self.num_values,
            "num_replays": self.num_replays,
            "keep": list(self.keep),
            "recompute": list(self.recompute),
        }

    def check_graph(self, graph: StepGraph) -> None:
        """Raises PlanMismatch unless the plan was made for `graph`.

        Args:
            graph: the step about to follow the plan.

        Raises:
            PlanMismatch: it was made for another one; the text names the first difference.

        Example:
            >>> import tidemark
            >>> graph = tidemark.StepGraph.load("step.json")
            >>> tidemark.plan(graph, graph.peak_bytes).check_graph(graph)
        """
        difference = _core.first_difference(self._handle, graph._handle)
        if difference:
            raise PlanMismatch(f"the plan was made for another step: {difference}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Plan):
            return NotImplemented
        return self._handle == other._handle

    def __hash__(self) -> int:
        return hash((self.graph_hash, self.budget_bytes, self.peak_bytes, self.recompute_ns))

    def __repr__(self) -> str:
        return (
            f"<Plan {self.policy!r}: peak {format_bytes(self.peak_bytes)} of "
            f"{format_bytes(self.budget_bytes)}, +{100 * self.overhead:.1f} % time, "
            f"{self.num_replays} ops computed again>"
        )

    def __str__(self) -> str:
        from tidemark.report import make_report  # it needs this module

        if self._graph is not None:
            return str(make_report(self._graph, self))
        return (
            f"{self!r}\n"
            f"without a plan: peak {format_bytes(self.unplanned_peak_bytes)}, "
            f"{format_duration(self.step_ns)}; no plan runs below {format_bytes(self.floor_bytes)}"
        )

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Plan.from_json, (self.to_json(),)


def plan(
    graph: StepGraph,
    budget: int | str,
    *,
    policy: str = "auto",
    time_limit: float = 10.0,
    keep: Sequence[str] = (),
    recompute: Sequence[str] = (),
    effort: float = 1.0,
    progress: Callable[[int, int], bool | None] | None = None,
    least_feasible: bool = False,
) -> Plan:
    """Makes a plan that runs `graph` within `budget`. Needs no torch and no device.

    Args:
        graph: the step.
        budget: bytes as an int, or a size such as "6 GiB".
        policy: "auto" for the best that is found, or the name of one policy: `policies` lists
            them. "exact" for the cheapest plan there is, for steps of up to some hundred ops; it
            needs scipy. Its plan is proven to be the optimum where `Plan.lower_bound_ns` is its
            `recompute_ns`; otherwise the two tell how far it can be from it. Larger steps get the
            plan of "auto" with the best bound that is proven in time.
        time_limit: seconds after which the best plan found so far is returned. Where it does not
            end the search, the same arguments always give the same plan.
        keep: what must never be computed again: module paths ("lm_head", "h.*.mlp", with all below
            them), ops ("gelu") or categories ("Activation").
        recompute: what must be computed again wherever it can be, likewise.
        effort: how hard "auto" and "mincut" look, as a multiple of the usual, in steps of the
            search and not in seconds: 10 takes up to ten times as long, for a plan that is seldom
            much cheaper.
        progress: called before every search and every tenth of a second with the number of budgets
            searched so far and the bytes of the one being searched (0 before the first); where it
            returns False, the best plan so far is the answer.
        least_feasible: whether to look for the least budget with a plan too, for
            `Plan.least_feasible_bytes`. Takes several times as long.

    Returns:
        A plan whose promised peak is within the budget.

    Raises:
        BudgetInfeasible: no plan was found; carries the least feasible budget and the op that
            sets it. Of "exact" the text says whether there is none or time ran out.
        ImportError: "exact" needs scipy, and it is not installed.
        ValueError: the budget, the policy, the time limit or the effort is no such thing; or `keep`
            and `recompute` cannot be honoured, and why.

    Example:
        >>> graph = StepGraph.load("step.json")
        >>> made = plan(graph, graph.peak_bytes)
        >>> made.peak_bytes <= made.budget_bytes, made.recompute_ns
        (True, 0)
    """
    budget_bytes = parse_bytes(budget)
    if policy == _EXACT:
        _check_plain(keep, recompute, effort, progress, least_feasible)
        return _plan_exactly(graph, budget_bytes, time_limit)
    started = time.perf_counter()
    result = _core.plan(
        graph._handle,
        budget_bytes,
        policy,
        time_limit,
        _patterns("keep", keep),
        _patterns("recompute", recompute),
        effort,
        progress,
        least_feasible,
    )
    return _planned(result, graph, started)


def least_memory(
    graph: StepGraph,
    *,
    max_slowdown: float = 1.33,
    policy: str = "auto",
    time_limit: float = 10.0,
    keep: Sequence[str] = (),
    recompute: Sequence[str] = (),
) -> Plan:
    """Makes the plan of the least peak whose step takes at most `max_slowdown` times as long.

    Args:
        graph: the step.
        max_slowdown: a factor of the unplanned step's time; 1.33 is one more forward pass for most
            models.
        policy: as for `plan`, but for "exact".
        time_limit: as for `plan`, for each of some three rounds of budgets.
        keep: as for `plan`.
        recompute: as for `plan`.

    Returns:
        The plan; its budget is its peak.

    Raises:
        BudgetInfeasible: what is to be recomputed takes more room than the step itself.
        ValueError: as for `plan`, for a slowdown below 1, and where what is to be recomputed takes
            longer than the slowdown allows.

    Example:
        >>> graph = StepGraph.load("step.json")
        >>> least_memory(graph, max_slowdown=1.33).overhead <= 0.33
        True
    """
    check_repeatable(policy)
    started = time.perf_counter()
    result = _core.least_memory_plan(
        graph._handle,
        max_slowdown,
        policy,
        time_limit,
        _patterns("keep", keep),
        _patterns("recompute", recompute),
    )
    return _planned(result, graph, started)


def _patterns(name: str, patterns: Sequence[str]) -> list[str]:
    if isinstance(patterns, str):
        raise ValueError(f"{name} is the text {patterns!r}, expected a sequence: ({patterns!r},)")
    return list(patterns)


def _planned(result: _core.Plan | _core.PlanFailure, graph: StepGraph, started: float) -> Plan:
    seconds = time.perf_counter() - started
    if isinstance(result, _core.PlanFailure):
        raise _infeasible(graph, result)
    return Plan(result, graph, seconds)


def _check_plain(
    keep: Sequence[str],
    recompute: Sequence[str],
    effort: float,
    progress: object,
    least_feasible: bool,
) -> None:
    if keep or recompute or effort != 1 or progress or least_feasible:
        raise ValueError(
            "policy 'exact' takes no keep, recompute, effort, progress or least_feasible: it "
            "answers for one budget and the step as it is; policy 'auto' takes them"
        )


def _plan_exactly(graph: StepGraph, budget_bytes: int, time_limit: float) -> Plan:
    from tidemark.exact import solve  # it needs scipy

    started = time.perf_counter()
    answer = solve(graph._handle, budget_bytes, time_limit)
    if isinstance(answer.plan, _core.Plan):
        return _planned(answer.plan, graph, started)
    if answer.is_proven:
        said = f"no plan at all runs in {format_bytes(budget_bytes)}: policy 'exact' has proved it"
    else:
        said = f"policy 'exact' found neither a plan nor a proof of none in {time_limit:g} s"
    raise _infeasible(graph, answer.plan, said=f"{said}; ", timed_out=not answer.is_proven)


def policies() -> list[str]:
    """Returns the names that `plan` accepts as `policy`.

    Example:
        >>> "auto" in policies()
        True
    """
    return [*_core.policies(), _EXACT]


def check_repeatable(policy: str) -> None:
    """Raises ValueError for a policy that only `plan` can ask, one budget at a time."""
    if policy == _EXACT:
        raise ValueError(
            "policy 'exact' takes too long to plan more than one budget or while a step runs: "
            "call tidemark.plan(graph, budget, policy='exact') for each, or use policy 'auto'"
        )


def _infeasible(
    graph: StepGraph, failure: _core.PlanFailure, *, said: str = "", timed_out: bool = False
) -> BudgetInfeasible:
    return BudgetInfeasible(
        said + failure.sentence,
        budget_bytes=failure.budget_bytes,
        floor_bytes=failure.floor_bytes,
        least_feasible_bytes=failure.least_feasible_bytes,
        lower_bound_ns=failure.lower_bound_ns,
        op=failure.op(graph._handle),
        scope=failure.scope(graph._handle),
        source=failure.source(graph._handle),
        fixed_bytes=failure.fixed_bytes,
        timed_out=failure.timed_out or timed_out,
    )
