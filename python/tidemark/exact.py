"""The optimum of a small step, by mixed-integer linear programmes: `policy="exact"`.

The programme is Checkmate's (Jain et al., MLSys 2020) in the form of gaps and holds, built by
csrc/tidemark/plan/exact_model.h; HiGHS solves it, as scipy ships it. What `auto` finds is its
cutoff, and is returned if the solver finds nothing cheaper in its time.

Some hundred ops are too many for that, but not for a proof of how near `auto` has come: programmes
of ever more moments (csrc/tidemark/plan/window_model.h) have part of the time, for larger steps all
of it.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from tidemark import _core

# What is asked in turn until the answer is a plan: parts of the budget, and whether replays outside
# the model's lists stand open, as they do for the bound. A solver's numbers are whole, and its rows
# hold, only to a tolerance: an answer may pass the budget by a hair.
_TRIES = ((1.0, True), (1.0, False), (1 - 1e-6, False), (1 - 1e-4, False))
# What its bound may be off by, as a part of itself.
_ROUNDING = 1e-6
# Programmes with more columns are not solved in a moment: windows come first, in this part of the
# time. Even parts of the step that they begin with, and the moments that one round adds.
_MOST_COLUMNS_AT_ONCE = 2000
_WINDOWS_SHARE = 0.5
_FIRST_PARTS = 4
_MOST_MORE = 3
# What scipy.optimize.milp calls the outcomes that matter here.
_OPTIMAL, _INFEASIBLE = 0, 2


@dataclass(frozen=True)
class Answer:
    """What is known of one budget."""

    plan: _core.Plan | _core.PlanFailure
    """The best plan; the failure of "auto" if there is none."""
    is_proven: bool
    """Whether the solver has finished: no schedule of the model is cheaper, or no plan exists.

    `Plan.lower_bound_ns` says it of all plans, where the model has them all (exact_model.h)."""


@dataclass(frozen=True)
class _Outcome:
    solution: Any  # a float per column, or None
    least_ns: int  # no solution costs less, to the solver's tolerance
    is_infeasible: bool

    @property
    def surely_ns(self) -> int:
        """What no solution costs less than, whatever the solver's tolerance has added."""
        return int(self.least_ns * (1 - 2 * _ROUNDING))


def solve(graph: _core.StepGraph, budget_bytes: int, time_limit: float) -> Answer:
    """Returns the cheapest plan for a budget, or the best that was found in time.

    Args:
        graph: the step.
        budget_bytes: the budget.
        time_limit: seconds, those of "auto" included.

    Raises:
        ImportError: scipy is not installed; the text says how to get it.
    """
    _import_scipy()
    ends_at = time.perf_counter() + time_limit
    known = _core.plan(graph, budget_bytes, "auto", time_limit, [], [], 1.0, None, False)
    if isinstance(known, _core.Plan) and known.recompute_ns == 0:
        return Answer(known, True)
    if isinstance(known, _core.PlanFailure) and budget_bytes < known.floor_bytes:
        return Answer(known, True)
    model = _exact_model(graph, budget_bytes)
    is_large = model is None or len(model.programme.cost) > _MOST_COLUMNS_AT_ONCE
    if is_large and isinstance(known, _core.Plan):
        seconds = ends_at - time.perf_counter()
        known = _prove(graph, known, seconds if model is None else _WINDOWS_SHARE * seconds)
    if model is None:
        return Answer(known, False)
    return _solve_model(graph, budget_bytes, model, known, ends_at)


def _exact_model(graph: _core.StepGraph, budget_bytes: int) -> _core.ExactModel | None:
    try:
        return _core.exact_model(graph, budget_bytes)
    except ValueError:  # the step is too large
        return None


def _prove(graph: _core.StepGraph, known: _core.Plan, seconds: float) -> _core.Plan:
    """Returns the plan with the best bound that ever more moments prove in time."""
    ends_at = time.perf_counter() + seconds
    parts = _FIRST_PARTS
    moments = _core.window_moments(graph, known.budget_bytes, parts)
    while moments and (left := ends_at - time.perf_counter()) > 0:
        model = _core.window_model(graph, known.budget_bytes, moments)
        outcome = _run(model.programme, left)
        known = known.with_lower_bound(outcome.surely_ns)
        if outcome.solution is None:
            break
        more = set(model.exceeded(outcome.solution, _MOST_MORE)).difference(moments)
        while not more and parts < graph.num_events:
            parts *= 2
            more = set(_core.window_moments(graph, known.budget_bytes, parts)).difference(moments)
        if not more:
            break
        moments = sorted(more.union(moments))
    return known


def _solve_model(
    graph: _core.StepGraph,
    budget_bytes: int,
    model: _core.ExactModel,
    known: _core.Plan | _core.PlanFailure,
    ends_at: float,
) -> Answer:
    """Returns what the programme of all schedules gives."""
    is_complete = model.is_complete
    least_ns, surely_ns, is_infeasible = 0, 0, False
    for number, (share, with_outside) in enumerate(_TRIES):
        if share < 1:
            model = _core.exact_model(graph, int(budget_bytes * share))
        outcome = _run_model(model, known, ends_at - time.perf_counter(), with_outside)
        if number == 0:
            least_ns, surely_ns = outcome.least_ns, outcome.surely_ns
            is_infeasible = outcome.is_infeasible and is_complete
        if outcome.solution is None:
            break
        plan = model.plan_of(outcome.solution, budget_bytes, least_ns)
        if plan is not None:
            if isinstance(known, _core.Plan):
                plan = plan.with_lower_bound(known.lower_bound_ns)
            return Answer(plan, plan.recompute_ns <= least_ns)
    if isinstance(known, _core.PlanFailure):
        return Answer(known, is_infeasible)
    return Answer(known.with_lower_bound(surely_ns) if is_complete else known, False)


def _run_model(
    model: _core.ExactModel,
    known: _core.Plan | _core.PlanFailure,
    seconds: float,
    with_outside: bool,
) -> _Outcome:
    """Looks for a schedule that is no dearer than the known one."""
    if model.is_impossible:
        return _Outcome(None, 0, True)
    most_ns = known.recompute_ns if isinstance(known, _core.Plan) else None
    return _run(model.programme, seconds, most_ns, 1 if with_outside else 1 - model.is_outside)


def _run(
    programme: _core.Milp, seconds: float, most_ns: int | None = None, highest: Any = 1
) -> _Outcome:
    """Hands the programme to HiGHS: rows as they are, costs as parts of the highest.

    Args:
        programme: the programme.
        seconds: the solver's time.
        most_ns: what a solution may cost.
        highest: what each column may be at most.
    """
    optimize, sparse = _import_scipy()
    unit = max(1.0, float(programme.cost.max(initial=1.0)))
    cost = programme.cost / unit
    shape = (len(programme.most), len(cost))
    rows = (programme.coefficient, programme.column, programme.row_begin)
    limits = [optimize.LinearConstraint(sparse.csr_array(rows, shape=shape), ub=programme.most)]
    if most_ns is not None:
        cutoff = (most_ns + 0.5) / unit
        limits.append(optimize.LinearConstraint(sparse.csr_array([cost]), ub=cutoff))
    result = optimize.milp(
        cost,
        integrality=programme.is_whole,
        bounds=optimize.Bounds(0, highest),
        constraints=limits,
        options={"time_limit": max(seconds, 1e-2), "mip_rel_gap": 0.0},
    )
    is_optimal = result.status == _OPTIMAL
    least = result.fun if is_optimal else result.mip_dual_bound
    if least is None or not math.isfinite(least):
        return _Outcome(result.x, 0, result.status == _INFEASIBLE)
    # An optimum is the bound itself, to the solver's tolerance: plan_of cuts off what is above.
    least_ns = math.ceil(max(0.0, least) * unit * (1 + (_ROUNDING if is_optimal else -_ROUNDING)))
    return _Outcome(result.x, least_ns, False)


def _import_scipy() -> tuple[Any, Any]:
    try:
        from scipy import optimize, sparse
    except ImportError as error:
        raise ImportError(
            "policy 'exact' hands the step to scipy's solver, and scipy is not installed: "
            'pip install "tidemark[exact]"'
        ) from error
    return optimize, sparse
