"""Pictures. matplotlib is imported only when one is asked for."""

from __future__ import annotations

from pathlib import Path

from tidemark.frontier import Frontier
from tidemark.plan import Plan

_GIB = 2**30


def plot_frontier(curve: Frontier, path: str | Path) -> None:
    """Draws budget against step time, the infeasible zone hatched.

    Args:
        curve: the plans to draw.
        path: the picture; its ending says the format (.svg, .png, .pdf).

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: matplotlib does not know the ending.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            f"a plot needs matplotlib ({error}); to install it: pip install 'tidemark[plot]'"
        ) from error
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    budgets = [plan.budget_bytes / _GIB for plan in curve]
    axes.plot(budgets, [1 + plan.overhead for plan in curve], "o-", label="plans")
    axes.plot(budgets, [_best_possible(plan) for plan in curve], ":", label="bound")
    if curve.floor_bytes:
        axes.axvspan(0, curve.floor_bytes / _GIB, hatch="//", alpha=0.2, label="infeasible")
        axes.set_xlim(left=0)
    axes.set_xlabel("budget (GiB)")
    axes.set_ylabel("step time, unplanned = 1")
    axes.legend()
    figure.savefig(str(path), metadata={"Date": None} if str(path).endswith(".svg") else None)


def _best_possible(plan: Plan) -> float:
    return 1 + (plan.lower_bound_ns / plan.step_ns if plan.step_ns else 0.0)
