"""Frontier: budget against step time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final, overload

from tidemark import _core
from tidemark.bytes import format_bytes, format_duration, parse_bytes
from tidemark.graph import StepGraph
from tidemark.plan import Plan, check_repeatable


@final
@dataclass(frozen=True)
class Frontier(Sequence[Plan]):
    """The plans of one step over several budgets, in order of budget.

    A sequence of plans; ``print(frontier)`` is a table.

    Example:
        >>> import tidemark
        >>> curve = tidemark.frontier(StepGraph.load("step.json"), points=4)
        >>> [plan.peak_bytes <= plan.budget_bytes for plan in curve]
        [True, True, True, True]
    """

    plans: tuple[Plan, ...]
    """One plan per budget that a plan was found for."""
    infeasible_budgets: tuple[int, ...] = ()
    """The budgets asked for in which no plan was found."""
    least_feasible_bytes: int = 0
    """The least budget in which a plan was found."""
    floor_bytes: int = 0
    """No plan at all can run the step in less."""
    unplanned_peak_bytes: int = 0
    """The peak with everything kept."""

    @overload
    def __getitem__(self, index: int) -> Plan: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Plan, ...]: ...
    def __getitem__(self, index: int | slice) -> Plan | tuple[Plan, ...]:
        return self.plans[index]

    def __len__(self) -> int:
        return len(self.plans)

    def __iter__(self) -> Iterator[Plan]:
        return iter(self.plans)

    def summary(self) -> list[dict[str, Any]]:
        """Returns what `tidemark frontier --json` prints: `Plan.summary` of every plan."""
        return [plan.summary() for plan in self.plans]

    def to_json(self) -> str:
        """Returns `summary` as JSON."""
        return json.dumps(self.summary(), indent=2)

    def __repr__(self) -> str:
        return f"<Frontier of {len(self.plans)} budgets>"

    def __str__(self) -> str:
        lines = [f"{'budget':>12}{'peak':>12}{'step':>12}{'slower':>10}{'best':>10}  policy"]
        for plan in self.plans:
            bound = plan.lower_bound_ns / plan.step_ns if plan.step_ns else 0.0
            lines.append(
                f"{format_bytes(plan.budget_bytes):>12}{format_bytes(plan.peak_bytes):>12}"
                f"{format_duration(plan.step_ns + plan.recompute_ns):>12}"
                f"{100 * plan.overhead:>8.1f} %{100 * bound:>8.1f} %  {plan.policy}"
            )
        lines += [f"{format_bytes(budget):>12}  no plan" for budget in self.infeasible_budgets]
        return "\n".join(lines)


def frontier(
    graph: StepGraph,
    budgets: Sequence[int | str] | None = None,
    *,
    points: int = 12,
    policy: str = "auto",
) -> Frontier:
    """Plans `graph` for many budgets at once: what each costs in step time.

    Args:
        graph: the step.
        budgets: the budgets, as ints or sizes such as "6 GiB"; without them `points` budgets
            from the least feasible one to the unplanned peak.
        points: how many budgets, when none are given; at least 2.
        policy: as for `tidemark.plan`, but for "exact".

    Returns:
        One plan per feasible budget. More budget never gives a slower plan.

    Raises:
        ValueError: a budget, the policy or the number of points is no such thing.

    Example:
        >>> curve = frontier(StepGraph.load("step.json"), points=3)
        >>> curve[-1].recompute_ns
        0
    """
    check_repeatable(policy)
    sizes = [parse_bytes(budget) for budget in budgets or ()]
    found = _core.frontier(graph._handle, sizes, policy, 10.0, points)
    return Frontier(
        plans=tuple(Plan(handle, graph) for handle in found.plans),
        infeasible_budgets=tuple(found.infeasible),
        least_feasible_bytes=found.least_feasible_bytes,
        floor_bytes=found.floor_bytes,
        unplanned_peak_bytes=found.unplanned_peak_bytes,
    )
