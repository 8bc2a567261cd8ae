"""The optimum of a small step, by a mixed-integer linear programme: `policy="exact"`.

The programme is Checkmate's (Jain et al., MLSys 2020) in the form of gaps and holds, built by
csrc/tidemark/plan/exact_model.h; HiGHS solves it, as scipy ships it. What `auto` finds is its
cutoff, and is returned if the solver finds nothing cheaper in its time.
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
    least_ns: int  # no solution costs less
    is_infeasible: bool


def solve(graph: _core.StepGraph, budget_bytes: int, time_limit: float) -> Answer:
    """Returns the cheapest plan for a budget, or the best that was found in time.

    Args:
        graph: the step.
        budget_bytes: the budget.
        time_limit: seconds, those of "auto" included.

    Raises:
        ImportError: scipy is not installed; the text says how to get it.
        ValueError: the step is too large.
    """
    _import_scipy()
    ends_at = time.perf_counter() + time_limit
    model = _core.exact_model(graph, budget_bytes)
    known = _core.plan(graph, budget_bytes, "auto", time_limit, [], [], 1.0, None, False)
    if isinstance(known, _core.Plan) and known.recompute_ns == 0:
        return Answer(known, True)
    if isinstance(known, _core.PlanFailure) and budget_bytes < known.floor_bytes:
        return Answer(known, True)
    least_ns, is_infeasible = 0, False
    for number, (share, with_outside) in enumerate(_TRIES):
        if share < 1:
            model = _core.exact_model(graph, int(budget_bytes * share))
        outcome = _run(model, known, ends_at - time.perf_counter(), with_outside)
        if number == 0:
            least_ns = outcome.least_ns
            is_infeasible = outcome.is_infeasible and model.is_complete
        if outcome.solution is None:
            break
        plan = model.plan_of(outcome.solution, budget_bytes, least_ns)
        if plan is not None:
            return Answer(plan, plan.recompute_ns <= least_ns)
    return Answer(known, is_infeasible and isinstance(known, _core.PlanFailure))


def _run(
    model: _core.ExactModel,
    known: _core.Plan | _core.PlanFailure,
    seconds: float,
    with_outside: bool,
) -> _Outcome:
    """Hands the programme to HiGHS: rows as they are, costs as parts of the highest."""
    if model.is_impossible:
        return _Outcome(None, 0, True)
    optimize, sparse = _import_scipy()
    unit = max(1.0, float(model.cost.max(initial=1.0)))
    cost = model.cost / unit
    shape = (len(model.most), len(cost))
    rows = sparse.csr_array((model.coefficient, model.column, model.row_begin), shape=shape)
    limits = [optimize.LinearConstraint(rows, ub=model.most)]
    if isinstance(known, _core.Plan):
        cutoff = (known.recompute_ns + 0.5) / unit
        limits.append(optimize.LinearConstraint(sparse.csr_array([cost]), ub=cutoff))
    result = optimize.milp(
        cost,
        integrality=model.is_whole,
        bounds=optimize.Bounds(0, 1 if with_outside else 1 - model.is_outside),
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
