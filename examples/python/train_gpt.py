"""Trains a small GPT inside half of its memory range, beside the same run without Tidemark.

Runs a few steps without a limit to learn what the step needs; then trains one model under a budget
and its twin in stock torch, in a process of its own, a step each in turns; compares every gradient
of the two bit for bit; and prints what it came to. `make demo` runs it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import tidemark
import torch
from gpt import Gpt, GptConfig, Text
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from tidemark import StepGraph, format_bytes
from torch import Tensor
from torch.nn import functional

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parents[2]
_LEARNING_STEPS = 3  # two watched, then the first planned one: slower, left out of the timings


class Run:
    """One training run, advanced step by step."""

    def __init__(
        self, text: Text, config: dict[str, Any], budget: tidemark.MemoryBudget | None = None
    ) -> None:
        training = config["training"]
        torch.manual_seed(training["seed"])
        self.model = Gpt(GptConfig(vocabulary=text.vocabulary, **config["model"]))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=training["learning_rate"])
        self.budget = budget
        self.losses: list[float] = []
        self.seconds: list[float] = []
        batches = text.batches(training["batch"], config["model"]["context"], training["seed"])
        self._loop = self._train(batches)

    def _train(self, batches: Iterator[tuple[Tensor, Tensor]]) -> Iterator[float]:
        """The loop as anybody writes it. Gradients stay until the next step: they are compared."""
        for x, y in batches:
            with self.budget.step() if self.budget else nullcontext():
                self.optimizer.zero_grad()
                logits = self.model(x)
                loss = functional.cross_entropy(logits.flatten(0, 1), y.flatten())
                loss.backward()
                self.optimizer.step()
            yield loss.item()

    def advance(self) -> None:
        """Runs one step."""
        started = time.perf_counter()
        self.losses.append(next(self._loop))
        self.seconds.append(time.perf_counter() - started)

    def close(self) -> None:
        """Ends the run and gives the allocator back."""
        self._loop.close()
        if self.budget:
            self.budget.close()

    def gradients(self) -> list[Tensor | None]:
        """Returns what backward left, parameter by parameter."""
        return [parameter.grad for parameter in self.model.parameters()]


class StockRun:
    """The same run without Tidemark, in a process of its own with torch's own allocator."""

    def __init__(self, text: Text, config: dict[str, Any]) -> None:
        self.losses: list[float] = []
        self.seconds: list[float] = []
        parameters = Run(text, config).model.parameters()
        self.gradients = [torch.zeros_like(each).share_memory_() for each in parameters]
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=serve_stock, args=(theirs, text, config, self.gradients), daemon=True
        )
        self._process.start()
        theirs.close()  # so that the other side's death is an EOFError here

    def advance(self) -> None:
        """Runs one step there; `gradients` are that step's afterwards."""
        self._connection.send("step")
        loss, seconds = self._connection.recv()
        self.losses.append(loss)
        self.seconds.append(seconds)

    def close(self) -> None:
        """Ends the process."""
        self._connection.close()
        self._process.join()


def serve_stock(
    connection: Connection, text: Text, config: dict[str, Any], gradients: list[Tensor]
) -> None:
    run = Run(text, config)
    while True:
        try:
            connection.recv()
        except EOFError:
            return
        run.advance()
        for shared, gradient in zip(gradients, run.gradients(), strict=True):
            shared.copy_(gradient)
        connection.send((run.losses[-1], run.seconds[-1]))


def median_seconds(run: Run | StockRun) -> float:
    return statistics.median(run.seconds[_LEARNING_STEPS:])


def largest_difference(ours: list[Tensor | None], theirs: list[Tensor | None]) -> float:
    """Returns the largest difference of two sets of gradients; infinite where one is missing."""
    largest = 0.0
    for a, b in zip(ours, theirs, strict=True):
        if a is None or b is None:
            return float("inf")
        if not torch.equal(a, b):  # also when one is nan
            difference = (a - b).abs().max().nan_to_num(nan=float("inf")).item()
            largest = max(largest, difference)
    return largest


@dataclass(kw_only=True)
class Outcome:
    """What the demo measured."""

    graph: StepGraph
    least_plan: tidemark.Plan
    budget_bytes: int
    planned: Run = field(init=False)
    stock: StockRun = field(init=False)
    planned_peaks: list[int] = field(default_factory=list)
    watched_peaks: list[int] = field(default_factory=list)
    gradient_difference: float = 0.0

    @property
    def plan(self) -> tidemark.Plan:
        """The plan that the planned steps followed."""
        plan = self.planned.budget.plan
        assert plan is not None, "it has run steps"
        return plan

    @property
    def is_good(self) -> bool:
        """Same numbers, inside the budget, and the peak as promised to the byte."""
        inside = max(self.planned_peaks + self.watched_peaks) <= self.budget_bytes
        to_the_byte = set(self.planned_peaks) == {self.plan.peak_bytes}
        return self.gradient_difference == 0 and inside and to_the_byte


def learn(text: Text, config: dict[str, Any], progress: Progress) -> StepGraph:
    """Runs some steps without a limit and returns the step as data."""
    run = Run(text, config, tidemark.MemoryBudget(None))
    steps = config["memory"]["unplanned_steps"]
    for _ in progress.track(range(steps), description="unplanned, to learn the step"):
        run.advance()
    graph = run.budget.graph
    run.close()
    assert graph is not None, "it has run steps"
    return graph


def choose_budget(graph: StepGraph, wanted: str | None) -> tuple[tidemark.Plan, int]:
    """Returns the plan of least memory, and the budget: what is wanted or half the range."""
    frontier = tidemark.frontier(graph, points=2)
    if wanted is not None:
        return frontier[0], tidemark.parse_bytes(wanted)
    return frontier[0], (frontier.least_feasible_bytes + graph.peak_bytes) // 2


def compare(text: Text, config: dict[str, Any], outcome: Outcome, progress: Progress) -> None:
    """Trains twice, a step each in turns, and compares every gradient."""
    outcome.stock = StockRun(text, config)
    outcome.planned = Run(text, config, tidemark.MemoryBudget(outcome.budget_bytes))
    steps = range(config["training"]["steps"])
    for _ in progress.track(steps, description="under the budget, and stock"):
        outcome.stock.advance()
        outcome.planned.advance()
        last = outcome.planned.budget.last_step
        peaks = outcome.planned_peaks if last.kind == "planned" else outcome.watched_peaks
        peaks.append(last.peak_bytes)
        difference = largest_difference(outcome.planned.gradients(), outcome.stock.gradients)
        outcome.gradient_difference = max(outcome.gradient_difference, difference)
    outcome.stock.close()


def table_of(outcome: Outcome) -> Table:
    plan, least = outcome.plan, outcome.least_plan
    stock, planned = outcome.stock, outcome.planned
    ratio = median_seconds(planned) / median_seconds(stock)
    steps = planned.budget.steps
    rows = [
        ("unplanned peak", format_bytes(outcome.graph.peak_bytes)),
        ("floor", f"{format_bytes(least.floor_bytes)}  (no plan can do with less)"),
        ("least feasible", format_bytes(least.peak_bytes)),
        ("budget", format_bytes(outcome.budget_bytes)),
        ("predicted peak", f"{plan.peak_bytes:,} B"),
        ("measured peak", f"{max(outcome.planned_peaks):,} B"),
        ("highest while watching", format_bytes(max(outcome.watched_peaks))),
        ("steps", f"{steps.watched} watched, {steps.planned} planned, {steps.diverged} diverged"),
        ("computed again", f"{plan.num_replays} of {plan.num_ops} ops"),
        ("step time, unplanned", f"{median_seconds(stock):.3f} s"),
        ("step time, planned", f"{median_seconds(planned):.3f} s  ({100 * (ratio - 1):+.1f} %)"),
        ("predicted", f"{100 * plan.overhead:+.1f} %"),
        ("planning time", f"{planned.budget.plan_seconds:.3f} s"),
        ("largest gradient difference", f"{outcome.gradient_difference:g}"),
        ("loss, first and last", f"{planned.losses[0]:.4f}  {planned.losses[-1]:.4f}"),
    ]
    table = Table("", "", title=f"{len(planned.losses)} steps under a budget", show_header=False)
    for name, text in rows:
        table.add_row(name, text)
    return table


def draw(outcome: Outcome, path: Path) -> None:
    """Draws the bytes live at every event of a step, unplanned and planned."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 3.6), layout="constrained")
    for plan, color, name in ((None, "#b0b0b0", "unplanned"), (outcome.plan, "#1f6fb4", "planned")):
        curve = tidemark.simulate(outcome.graph, plan).curve
        peaks = [peak / 2**20 for _, peak, _ in curve]
        label = f"{name}: {max(peaks):.0f} MiB"
        axes.fill_between(range(len(peaks)), peaks, color=color, alpha=0.35, step="mid", lw=0)
        axes.step(range(len(peaks)), peaks, color=color, where="mid", lw=1, label=label)
    mark = outcome.budget_bytes / 2**20
    axes.axhline(mark, color="#c03030", ls="--", lw=1, label=f"budget: {mark:.0f} MiB")
    axes.set(xlabel="event of one training step", ylabel="live MiB", ylim=(0, None))
    axes.margins(x=0)
    axes.legend(frameon=False, loc="upper right")
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, default=REPOSITORY / "configs" / "gpt.toml")
    parser.add_argument(
        "--budget", help='bytes or a size such as "160 MiB"; default: half the range'
    )
    parser.add_argument("--steps", type=int, help="steps of the run under the budget")
    parser.add_argument("--picture", type=Path, help="where the memory timelines go (PNG)")
    return parser.parse_args()


def read_config(arguments: argparse.Namespace) -> dict[str, Any]:
    config = tomllib.loads(arguments.config.read_text(encoding="utf-8"))
    if arguments.budget is not None:
        config["memory"]["budget"] = arguments.budget
    if arguments.steps is not None:
        config["training"]["steps"] = arguments.steps
    if config["training"]["steps"] <= _LEARNING_STEPS:
        raise SystemExit(f"--steps must be more than {_LEARNING_STEPS}, the steps of learning")
    if arguments.picture is not None:
        config["output"]["picture"] = str(arguments.picture)
    return config


def train(text: Text, config: dict[str, Any], progress: Progress) -> Outcome:
    graph = learn(text, config, progress)
    least_plan, budget_bytes = choose_budget(graph, config["memory"].get("budget"))
    outcome = Outcome(graph=graph, least_plan=least_plan, budget_bytes=budget_bytes)
    compare(text, config, outcome, progress)
    return outcome


def main() -> int:
    config = read_config(read_arguments())
    console = Console()
    text = Text.of_the_python_manual()
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    try:
        with Progress(*columns, console=console) as progress:
            outcome = train(text, config, progress)
    except (tidemark.BudgetInfeasible, tidemark.BudgetExceeded) as error:
        console.print(f"[red]{type(error).__name__}[/red]: {error}")
        return 1
    outcome.planned.close()
    console.print(table_of(outcome))
    picture = Path(config["output"]["picture"])
    draw(outcome, picture)
    console.print(f"memory of one step, before and after: {picture}")
    if not outcome.is_good:
        console.print("[red]not as promised:[/red] see gradient difference and peaks above")
    return 0 if outcome.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
