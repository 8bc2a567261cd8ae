"""What each command of `tidemark` does. Each returns the exit code, which is the answer."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import tidemark
from tidemark import _runtime
from tidemark.bytes import format_bytes, format_duration, parse_bytes
from tidemark.errors import BudgetInfeasible
from tidemark.graph import StepGraph
from tidemark.packing import Packing, load_buffers
from tidemark.plan import Plan

YES, NO, TIME_OUT = 0, 1, 3


def record(options: argparse.Namespace) -> int:
    """Runs the step until a variant repeats, or does so on fake tensors, and writes the graph."""
    with _working("recording the step"):
        step = _load_step(options.target, options.fake)
        graph = tidemark.record(step, device=options.fake)
        graph.save(options.output)
    if options.json:
        return _print_json(_graph_summary(graph) | {"output": options.output})
    print(graph, end="")
    print(f"written to {options.output}")
    return YES


def estimate(options: argparse.Namespace) -> int:
    """Estimates the step on fake tensors and says whether it fits."""
    limit = None if options.fits is None else parse_bytes(options.fits)
    with _working("estimating the step"):
        step = _load_step(options.target, options.device)
        found = tidemark.estimate(step, device=options.device)
    fits = limit is None or found.fits(limit)
    if options.json:
        at_peak = tidemark.make_report(found.graph).to_dict()["peak"]
        peak = {"peak_bytes": found.peak_bytes, "device": options.device, "at_peak": at_peak}
        _print_json(peak | ({} if limit is None else {"limit_bytes": limit, "fits": fits}))
    else:
        print(found, end="")
        if limit is not None:
            verb = "fits" if fits else "does NOT fit"
            print(f"{verb} in {format_bytes(limit)} ({limit} bytes)")
    return YES if fits else NO


def _load_step(target: str, fake_device: str | None) -> Callable[[], object]:
    from tidemark.targets import load_target

    if fake_device is None:
        return load_target(target)
    _runtime.require()  # says clearly what is missing
    from tidemark.fakes import FakeDevice

    return load_target(target, build=FakeDevice(fake_device).build)


def plan(options: argparse.Namespace) -> int:
    """Makes a plan and says what it promises."""
    graph = StepGraph.load(options.step)
    try:
        with _working("planning"):
            made = _make_plan(graph, options)
    except BudgetInfeasible as no:
        return _refuse(no, options.json)
    if options.output:
        made.save(options.output)
    if options.json:
        return _print_json(made.summary())
    print(made, end="")
    if options.output:
        print(f"written to {options.output}")
    return YES


def _make_plan(graph: StepGraph, options: argparse.Namespace) -> Plan:
    wishes: dict[str, Any] = {name: getattr(options, name) for name in ("keep", "recompute")}
    wishes |= {"policy": options.policy, "time_limit": options.time_limit}
    if options.budget is not None:
        return tidemark.plan(graph, options.budget, **wishes)
    return tidemark.least_memory(graph, max_slowdown=options.max_slowdown, **wishes)


def frontier(options: argparse.Namespace) -> int:
    """Plans for many budgets and shows what each costs."""
    graph = StepGraph.load(options.step)
    budgets = options.budgets.split(",") if options.budgets else None
    with _working("planning for many budgets"):
        curve = tidemark.frontier(graph, budgets, points=options.points, policy=options.policy)
    if options.plot:
        from tidemark.plots import plot_frontier

        plot_frontier(curve, options.plot)
    if options.json:
        return _print_json(curve.summary())
    Console().print(_frontier_table(curve))
    if options.plot:
        print(f"drawn to {options.plot}")
    return YES


def simulate(options: argparse.Namespace) -> int:
    """Shows the curve of a step and validates a plan for it."""
    graph = StepGraph.load(options.step)
    made = Plan.load(options.plan) if options.plan else None
    broken = None if made is None else _why_invalid(graph, made)
    if broken is not None:
        if options.json:
            _print_json({"is_valid": False, "violation": broken})
        else:
            print(f"the plan is not valid for this step: {broken}")
        return NO
    result = tidemark.simulate(graph, made)
    if options.json:
        summary = {"is_valid": True, "peak_bytes": result.peak_bytes, "at": result.peak_event}
        times = {"cost_ns": result.cost_ns, "recompute_ns": result.recompute_ns}
        return _print_json(summary | times | {"curve": result.curve})
    print(tidemark.make_report(graph, made), end="")
    print(f"ops take {format_duration(result.cost_ns)}; {_sparkline(result.curve)}")
    return YES


def pack(options: argparse.Namespace) -> int:
    """Gives the buffers of every file addresses."""
    if len(options.files) > 1 and (options.output or options.picture):
        raise ValueError("one CSV and one picture are of one FILE; several were given")
    packings = {path: _pack_file(path, options) for path in options.files}
    written = [packing for packing in packings.values() if packing.offsets]
    for packing in written:
        _write(options.output, packing.to_csv)
        _write(options.picture, packing.to_svg)
    if options.json:
        facts = [{"file": path} | packing.summary() for path, packing in packings.items()]
        _print_json(facts if len(facts) > 1 else facts[0])
    elif len(packings) > 1:
        Console().print(_packing_table(packings))
    else:
        for packing in packings.values():
            print(packing)
        for path in filter(None, (options.output, options.picture)):
            print(f"written to {path}" if written else f"nothing to write to {path}")
    codes = {"infeasible": NO, "timeout": TIME_OUT}
    worst = [codes[p.status] for p in packings.values() if p.status in codes]
    return min(worst, default=YES)


def _pack_file(path: str, options: argparse.Namespace) -> Packing:
    buffers = StepGraph.load(path) if path.endswith(".json") else load_buffers(path)
    with _working(f"packing {path}"):
        return tidemark.pack(
            buffers,
            capacity=options.capacity,
            alignment=options.alignment,
            block_limit=options.block_limit,
            time_limit=options.time_limit,
        )


def _write(path: str | None, make: Callable[[], str]) -> None:
    if path:
        Path(path).write_text(make(), encoding="utf-8")


def _packing_table(packings: dict[str, Packing]) -> Table:
    table = Table(box=None)
    for heading in ("file", "buffers", "height", "lower bound", "gap", "seconds", "status"):
        table.add_column(heading, justify="left" if heading in ("file", "status") else "right")
    for path, packing in packings.items():
        table.add_row(
            path,
            str(packing.summary()["num_buffers"]),
            str(packing.height),
            str(packing.lower_bound),
            f"{100 * packing.gap:.3f} %",
            f"{packing.seconds:.2f}",
            packing.status,
        )
    return table


def explain(options: argparse.Namespace) -> int:
    """Says why a plan keeps what it keeps."""
    graph = StepGraph.load(options.step)
    with _working("asking what more memory would buy"):
        why = tidemark.explain(graph, Plan.load(options.plan), scope=options.scope)
    if options.json:
        return _print_json(why.to_dict())
    print(why, end="")
    return YES


def generate(options: argparse.Namespace) -> int:
    """Writes the step of a well-known model."""
    graph = tidemark.generate(
        options.model,
        batch=options.batch,
        size=options.size,
        device=options.device,
        dtype=options.dtype,
        optimizer=options.optimizer,
    )
    graph.save(options.output)
    if options.json:
        return _print_json(_graph_summary(graph) | {"output": options.output})
    print(graph, end="")
    print(f"written to {options.output}")
    return YES


def profile(options: argparse.Namespace) -> int:
    """Measures this machine and writes its figures."""
    from tidemark.profiling import measure_device

    with _working("measuring this machine"):
        figures = measure_device()
    Path(options.output).write_text(json.dumps(figures) + "\n", encoding="utf-8")
    if options.json:
        return _print_json(figures)
    for name, figure in figures.items():
        print(f"{name:>22}  {figure}")
    print(f"written to {options.output}")
    return YES


def doctor(options: argparse.Namespace) -> int:
    """Says what is here, what works and what is risky."""
    from tidemark.doctor import examine

    found = examine()
    if options.json:
        parts = ("versions", "works", "problems", "risks", "self_check_ms")
        _print_json({"ok": found.is_healthy} | {name: getattr(found, name) for name in parts})
        return YES if found.is_healthy else NO
    table = Table("what", "found", box=None)
    for name, text in found.versions.items():
        table.add_row(name, text)
    for name, works in found.works.items():
        table.add_row(name, "works" if works else "DOES NOT WORK")
    Console().print(table)
    print(f"self-check of the runtime: {found.self_check_ms:.1f} ms")
    for kind, texts in (("problem", found.problems), ("risk", found.risks)):
        for text in texts:
            print(f"{kind}: {text}")
    print("the runtime can work here" if found.is_healthy else "the runtime cannot work here")
    return YES if found.is_healthy else NO


def _refuse(no: BudgetInfeasible, as_json: bool) -> int:
    if not as_json:
        print(f"infeasible: {no}")
        return NO
    sizes = ("budget_bytes", "floor_bytes", "least_feasible_bytes", "lower_bound_ns")
    facts = {name: getattr(no, name) for name in (*sizes, "op", "scope", "source")}
    more = {"timed_out": no.timed_out, "fixed_bytes": no.fixed_bytes, "text": str(no)}
    _print_json({"fits": False} | facts | more)
    return NO


def _why_invalid(graph: StepGraph, made: Plan) -> str | None:
    try:
        made.check_graph(graph)
    except tidemark.PlanMismatch as mismatch:
        return str(mismatch)
    broken = tidemark.validate(graph, made)
    return None if broken is None else str(broken)


def _graph_summary(graph: StepGraph) -> dict[str, Any]:
    names = (
        "peak_bytes",
        "step_ns",
        "num_ops",
        "num_values",
        "num_events",
        "device",
        "is_estimate",
    )
    return {name: getattr(graph, name) for name in names}


def _frontier_table(curve: tidemark.Frontier) -> Table:
    table = Table(box=None)
    for heading in ("budget", "peak", "step", "slower", "at least"):
        table.add_column(heading, justify="right")
    table.add_column("policy")
    for made in curve:
        bound = made.lower_bound_ns / made.step_ns if made.step_ns else 0.0
        table.add_row(
            format_bytes(made.budget_bytes),
            format_bytes(made.peak_bytes),
            format_duration(made.step_ns + made.recompute_ns),
            f"{100 * made.overhead:.1f} %",
            f"{100 * bound:.1f} %",
            made.policy,
        )
    for budget in curve.infeasible_budgets:
        table.add_row(format_bytes(budget), "no plan", "", "", "", "")
    return table


def _sparkline(curve: list[tuple[int, int, int]], width: int = 60) -> str:
    """Returns the live bytes over the step as one line, peaks kept when events are merged."""
    levels = " .:-=+*#%@"
    highest = max((peak for _, peak, _ in curve), default=0) or 1
    width = min(width, len(curve))
    line = ""
    for i in range(width):
        part = curve[i * len(curve) // width : (i + 1) * len(curve) // width]
        line += levels[max(peak for _, peak, _ in part) * (len(levels) - 1) // highest]
    return f"live bytes |{line}|"


@contextmanager
def _working(what: str) -> Iterator[None]:
    """Shows on a terminal that something goes on; standard output stays clean."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(f"{what} ..."):
        yield


def _print_json(content: object) -> int:
    print(json.dumps(content, indent=2))
    return YES
