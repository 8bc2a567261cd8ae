"""Every policy on many steps over shrinking budgets: recompute time beside the lower bound.

Steps are generated, or those of real models: `estimated:` ones are recorded on tensors without data
(recorded_steps.py), `measured:` ones are trained for a few steps (models.py). No plan is run: plans
are validated and judged by the simulator. Budgets are shares of the unplanned peak, next to nothing
of it optimizer state but in measured steps; below them come 1.5 and 1.25 times the floor. Every
figure is per cent of the step's op times, "-" where the policy finds no plan. Figures of papers
stand beside ours at the end, where one has the same model.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import tidemark
from rich.console import Console
from rich.table import Table

MODELS = (
    *("resnet50", "resnet152", "vgg19", "unet", "densenet121", "inception_v3"),
    *("gpt2_small", "gpt2_small_unfused", "lstm64", "treelstm32", "chain100", "random300"),
    *("estimated:gpt2", "estimated:resnet50", "estimated:unet", "estimated:densenet121"),
    *("estimated:inception", "estimated:lstm", "estimated:treelstm", "estimated:unrolled_gan"),
    *("measured:gpt", "measured:resnet", "measured:unet", "measured:lstm"),
)
RATIOS = (0.9, 0.75, 0.5, 0.4, 0.3, 0.2, 0.1)
FLOOR_FACTORS = (1.5, 1.25)

# Model, share of the peak, the paper's per cent, where from.
PUBLISHED = (
    ("resnet50", 0.53, 5.6, "MONeT"),
    ("resnet50", 0.33, 12.0, "MONeT"),
    ("resnet152", 0.19, 37.0, "Feng and Huang"),
    ("unet", 0.42, 5.0, "MONeT"),
    ("unet", 0.35, 11.5, "MONeT"),
    ("densenet121", 0.36, 51.4, "DTR, with its bookkeeping"),
    ("densenet121", 0.22, 34.0, "Feng and Huang"),
)


def budgets_of(graph: tidemark.StepGraph, floor: int) -> dict[str, int]:
    """Returns the budgets to try by name, those below the floor left out."""
    budgets = {f"{ratio:g}": int(ratio * graph.peak_bytes) for ratio in RATIOS}
    budgets |= {f"{factor:g} floor": int(factor * floor) for factor in FLOOR_FACTORS}
    return {name: size for name, size in budgets.items() if floor <= size < graph.peak_bytes}


def try_policy(
    graph: tidemark.StepGraph, budgets: dict[str, int], policy: str, seconds: float
) -> dict[str, Any]:
    """Returns overhead and bound of a policy by budget, and the CPU time it took in all."""
    started = time.process_time()
    overhead: dict[str, float | None] = {}
    bound: dict[str, float] = {}
    for name, budget in budgets.items():
        try:
            made = tidemark.plan(graph, budget, policy=policy, time_limit=seconds)
        except tidemark.BudgetInfeasible:
            overhead[name] = None
            continue
        broken = tidemark.validate(graph, made)
        if broken is not None or made.peak_bytes > budget:
            raise RuntimeError(f"{policy} at {name}: {broken or 'the peak is above the budget'}")
        overhead[name] = made.overhead
        bound[name] = made.lower_bound_ns / made.step_ns
    return {"overhead": overhead, "bound": bound, "seconds": time.process_time() - started}


def step_of(model: str) -> tidemark.StepGraph:
    """Returns a step by name: generated, or recorded from a real model as its prefix says."""
    how, _, name = model.rpartition(":")
    if how == "estimated":
        from recorded_steps import estimate  # generated steps need no torch

        return estimate(name)
    if how == "measured":
        from recording import learn

        return learn(name)
    return tidemark.generate(name, optimizer="none")


def try_model(model: str, policies: list[str], seconds: float) -> dict[str, Any]:
    """Returns all policies on one model."""
    graph = step_of(model)
    floor = tidemark.plan(graph, graph.peak_bytes, policy="keep_all").floor_bytes
    budgets = budgets_of(graph, floor)
    return {
        "model": model,
        "num_ops": graph.num_ops,
        "peak_bytes": graph.peak_bytes,
        "floor_bytes": floor,
        "budgets": budgets,
        "policies": {policy: try_policy(graph, budgets, policy, seconds) for policy in policies},
    }


def percent(share: float | None) -> str:
    """Returns a share in per cent, or "-"."""
    return "-" if share is None else f"{100 * share:.1f}"


def print_model(result: dict[str, Any], console: Console) -> None:
    """Prints one model's table: a row per policy, a column per budget."""
    title = (
        f"{result['model']}: {result['num_ops']} ops, "
        f"peak {tidemark.format_bytes(result['peak_bytes'])}, "
        f"floor {tidemark.format_bytes(result['floor_bytes'])}"
    )
    table = Table("policy", *result["budgets"], "CPU s", title=title, box=None)
    bound = result["policies"]["auto"]["bound"]
    table.add_row("bound", *(percent(bound.get(name)) for name in result["budgets"]), "")
    for policy, found in result["policies"].items():
        row = (percent(found["overhead"][name]) for name in result["budgets"])
        table.add_row(policy, *row, f"{found['seconds']:.2f}")
    console.print(table)


def ahead(results: list[dict[str, Any]]) -> list[str]:
    """Returns what the table says of auto against the others, in sentences."""
    losses, ratios = [], []
    for result in results:
        own = result["policies"]["auto"]["overhead"]
        for policy, found in result["policies"].items():
            for name, theirs in found["overhead"].items():
                if theirs is None:
                    continue
                if own[name] is None or own[name] > theirs + 1e-9:
                    losses.append(f"{result['model']} at {name}: {policy} {percent(theirs)}")
                is_tight = name not in ("0.9", "0.75") and policy == "dtr"
                if is_tight and own[name] is not None and theirs > 0:
                    ratios.append(own[name] / theirs)
    sentences = [f"auto is dearer at {len(losses)} points" + "".join(f"\n  {x}" for x in losses)]
    if ratios:
        mean = sum(ratios) / len(ratios)
        sentences.append(f"at 0.5 and below auto takes {100 * mean:.0f} % of DTR's recompute time")
    return sentences


def print_published(seconds: float, console: Console) -> None:
    """Prints our figure beside each published one."""
    table = Table("model", "of the peak", "published", "auto", "bound", "by", box=None)
    for model, ratio, theirs, source in PUBLISHED:
        graph = tidemark.generate(model, optimizer="none", device="v100")
        try:
            made = tidemark.plan(graph, int(ratio * graph.peak_bytes), time_limit=seconds)
        except tidemark.BudgetInfeasible as no:
            ours, bound = f"least {tidemark.format_bytes(no.least_feasible_bytes)}", "-"
        else:
            ours, bound = percent(made.overhead), percent(made.lower_bound_ns / made.step_ns)
        table.add_row(model, f"{ratio:g}", f"{theirs:.1f}", ours, bound, source)
    console.print(table)


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS), help="comma-separated")
    parser.add_argument("--policies", help="comma-separated (default: all)")
    parser.add_argument("--time-limit", type=float, default=10.0, help="seconds per plan")
    parser.add_argument("--out", default="out", help="folder for policies.json")
    options = parser.parse_args()
    left_out = ("auto", "keep_all", "exact")
    policies = [policy for policy in tidemark.policies() if policy not in left_out]
    if options.policies:
        policies = options.policies.split(",")
    console = Console(width=140)
    results = []
    for model in options.models.split(","):
        results.append(try_model(model, ["auto", *policies], options.time_limit))
        print_model(results[-1], console)
    for sentence in ahead(results):
        console.print(sentence)
    print_published(options.time_limit, console)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "policies.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
