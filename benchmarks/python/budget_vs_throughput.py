"""Budget against step time: 12 budgets per model, predicted and measured, beside stock torch.

Writes out/budget_vs_throughput.json and .png. The reference point on the GPT is
torch.utils.checkpoint around every block, measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import tidemark
import torch
from by_hand import compare
from recording import learn
from rich.console import Console
from rich.table import Table
from training import StockTraining, Training

MODELS = ("gpt", "resnet", "unet", "lstm")
_WARM_UP_STEPS = 3  # two watched steps and the first planned one
_Point = dict[str, Any]


def interleave(ours: Any, theirs: Any, steps: int) -> tuple[list[float], list[float]]:
    """Advances both in turns; returns the seconds of each without the warm-up."""
    pairs = [(theirs.advance(), ours.advance()) for _ in range(steps + _WARM_UP_STEPS)]
    stock, planned = zip(*pairs[_WARM_UP_STEPS:], strict=True)
    return list(planned), list(stock)


def compare_states(ours: dict[str, Any], theirs: dict[str, Any]) -> _Point:
    def is_equal(what: str) -> bool:
        return all(map(np.array_equal, ours[what], theirs[what]))

    pairs = zip(ours["gradients"], theirs["gradients"], strict=True)
    return {
        "largest_gradient_difference": max(float(np.abs(a - b).max()) for a, b in pairs),
        "parameters_equal": is_equal("parameters"),
        "buffers_equal": is_equal("buffers"),
        "generator_equal": is_equal("generator"),
    }


def measure(name: str, plan: tidemark.Plan, stock: StockTraining, steps: int) -> _Point:
    """Trains under the budget of `plan`, by that plan, and beside it in stock torch."""
    stock.restart()
    with tidemark.MemoryBudget(plan.budget_bytes, plan=plan) as budget:
        run = Training(name, budget)
        try:
            planned_seconds, stock_seconds = interleave(run, stock, steps)
        except (tidemark.BudgetExceeded, tidemark.BudgetInfeasible) as error:
            return {"refused": type(error).__name__, "why": str(error)}
        finally:
            run.close()
        return {
            "measured_peak_bytes": budget.last_step.peak_bytes,
            "planned_steps": budget.steps.planned,
            "stock_seconds": statistics.median(stock_seconds),
            "planned_seconds": statistics.median(planned_seconds),
            **compare_states(run.state(), stock.state()),
        }


def time_of_planning(graph: tidemark.StepGraph, budget_bytes: int) -> float:
    started = time.perf_counter()
    tidemark.plan(graph, budget_bytes)
    return time.perf_counter() - started


def measure_model(
    name: str, graph: tidemark.StepGraph, num_budgets: int, steps: int, console: Console
) -> _Point:
    frontier = tidemark.frontier(graph, points=num_budgets)
    stock, points = StockTraining(name), []
    for plan in frontier:
        promised = {
            "budget_bytes": plan.budget_bytes,
            "budget_ratio": plan.budget_bytes / graph.peak_bytes,
            "planned_peak_bytes": plan.peak_bytes,
            "predicted_overhead": plan.overhead,
            "overhead_lower_bound": plan.lower_bound_ns / plan.step_ns,
            "plan_seconds": time_of_planning(graph, plan.budget_bytes),
        }
        points.append(promised | measure(name, plan, stock, steps))
        console.print(f"{name}: {len(points)} of {len(frontier)} budgets", highlight=False)
    stock.close()
    return {
        "model": name,
        "unplanned_peak_bytes": graph.peak_bytes,
        "floor_bytes": frontier.floor_bytes,
        "least_feasible_bytes": frontier.least_feasible_bytes,
        "points": points,
    }


def measure_checkpointing(stock_name: str, name: str, steps: int) -> _Point:
    """Measures torch.utils.checkpoint per block: its peak unlimited, its time in stock torch."""
    with tidemark.MemoryBudget(None) as budget:
        run = Training(name, budget)
        for _ in range(_WARM_UP_STEPS):
            run.advance()
        run.close()
        peak_bytes = budget.last_step.peak_bytes
    stock, checkpointed = StockTraining(stock_name), StockTraining(name)
    ours, theirs = interleave(checkpointed, stock, steps)
    stock.close()
    checkpointed.close()
    overhead = statistics.median(ours) / statistics.median(theirs) - 1
    return {
        "granularity": "block",
        "measured_peak_bytes": peak_bytes,
        "measured_overhead": overhead,
    }


def measured_overhead(point: _Point) -> float:
    return point["planned_seconds"] / point["stock_seconds"] - 1


def table_of(result: _Point) -> Table:
    columns = ("budget", "of peak", "planned", "measured", "predicted", "slower", "bound")
    table = Table(*columns, "plan s", "grad diff", "equal", title=result["model"])
    for point in result["points"]:
        cells = [tidemark.format_bytes(point["budget_bytes"]), f"{point['budget_ratio']:.2f}"]
        cells.append(tidemark.format_bytes(point["planned_peak_bytes"]))
        if "refused" in point:
            table.add_row(*cells, point["refused"])
            continue
        equal = all(point[f"{what}_equal"] for what in ("parameters", "buffers", "generator"))
        table.add_row(
            *cells,
            tidemark.format_bytes(point["measured_peak_bytes"]),
            f"{100 * point['predicted_overhead']:+.1f} %",
            f"{100 * measured_overhead(point):+.1f} %",
            f"{100 * point['overhead_lower_bound']:+.1f} %",
            f"{point['plan_seconds']:.3f}",
            f"{point['largest_gradient_difference']:g}",
            "yes" if equal else "NO",
        )
    return table


def draw(results: list[_Point], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(results), figsize=(4 * len(results), 3.2), squeeze=False)
    for result, axis in zip(results, axes[0], strict=True):
        points = [point for point in result["points"] if "refused" not in point]
        sizes = [point["budget_bytes"] / 2**20 for point in points]
        predicted = [100 * point["predicted_overhead"] for point in points]
        axis.plot(sizes, predicted, "--", color="#909090", label="predicted")
        axis.plot(
            sizes, [100 * measured_overhead(point) for point in points], ".-", label="measured"
        )
        if "checkpointing" in result:
            reference = result["checkpointing"]
            at = reference["measured_peak_bytes"] / 2**20
            axis.plot(at, 100 * reference["measured_overhead"], "x", label="checkpoint per block")
        axis.set(title=result["model"], xlabel="budget, MiB", ylabel="slower, %")
        axis.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def machine() -> _Point:
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
        "tidemark": tidemark.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--budgets", type=int, default=12, help="from least feasible to unplanned")
    parser.add_argument("--steps", type=int, default=10, help="timed steps per budget")
    parser.add_argument("--quick", action="store_true", help="3 budgets, 3 steps: does it work?")
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.budgets, arguments.steps = 3, 3
    return arguments


def main() -> int:
    arguments, console = read_arguments(), Console(width=120)
    about, results = machine(), []
    for name in arguments.models:
        graph = learn(name)
        result = measure_model(name, graph, arguments.budgets, arguments.steps, console)
        if name == "gpt":
            reference = measure_checkpointing("gpt", "gpt_checkpointed", arguments.steps)
            by_hand = compare(graph, "gpt_checkpointed")
            result["checkpointing"] = reference | by_hand.to_dict()
        console.print(table_of(result))
        if "checkpointing" in result:
            peak = tidemark.format_bytes(reference["measured_peak_bytes"])
            slower = f"{100 * reference['measured_overhead']:+.1f} %"
            console.print(f"torch.utils.checkpoint per block: {peak}, {slower}", highlight=False)
            console.print(f"Better than by hand\n{by_hand}", highlight=False)
        results.append(result)
    arguments.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"about": about, "results": results}, indent=2)
    (arguments.out / "budget_vs_throughput.json").write_text(text + "\n", encoding="utf-8")
    draw(results, arguments.out / "budget_vs_throughput.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
