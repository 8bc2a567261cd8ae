"""What a budget costs where it drops nothing or next to nothing: step times in turns, with A/A.

Four processes per model train the same and take turns, step by step: stock torch twice (their
ratio is the A/A row: what the machine's noise alone looks like), an unlimited budget, and a budget
one allocation below the unplanned peak. Prints the ratio of median step times to stock torch's and
the minor page faults per step. `--instructions` prints instructions per step instead, counted by
callgrind: they are the same in every run. It counts the GPT on less data (in full it takes hours):
what a budget adds depends on the number of ops alone.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import tidemark
import torch
from rich.console import Console
from rich.table import Table
from training import Training

MODELS = ("gpt", "mlp", "cells")
MODES = ("stock", "stock again", "unlimited", "one drop")
_COUNTED = {"gpt": "small_gpt"}
_WARM_UP_STEPS = 5
_Sample = tuple[float, int]


def unplanned_peak(name: str) -> int:
    """Returns the peak of the third step, in bytes."""
    with tidemark.MemoryBudget(None) as budget:
        run = Training(name, budget)
        for _ in range(3):
            run.advance()
        run.close()
        return budget.peak_bytes


def open_budget(name: str, mode: str) -> Any:
    """Returns the budget of a mode, or None for stock torch."""
    if mode.startswith("stock"):
        return None
    return tidemark.MemoryBudget(None if mode == "unlimited" else unplanned_peak(name) - 1)


def sample(run: Training) -> _Sample:
    """Runs one step; returns its seconds and minor page faults."""
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    seconds = run.advance()
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults


def serve(connection: Connection, name: str, mode: str) -> None:
    """Runs a step whenever asked, after a warm-up."""
    torch.set_num_threads(1)
    run = Training(name, open_budget(name, mode))
    for _ in range(_WARM_UP_STEPS):
        run.advance()
    with contextlib.suppress(EOFError):
        while connection.recv():
            connection.send(sample(run))


def take_turns(name: str, steps: int) -> dict[str, list[_Sample]]:
    """Returns the samples of each mode, one process each."""
    context, connections = multiprocessing.get_context("spawn"), {}
    for mode in MODES:
        connections[mode], theirs = context.Pipe()
        context.Process(target=serve, args=(theirs, name, mode), daemon=True).start()
        theirs.close()
    samples: dict[str, list[_Sample]] = {mode: [] for mode in MODES}
    for _ in range(steps):
        for mode, connection in connections.items():
            connection.send(True)
            samples[mode].append(connection.recv())
    for connection in connections.values():
        connection.close()
    return samples


def count_instructions(name: str, mode: str, steps: int) -> float:
    """Returns instructions per step; this program runs itself under callgrind for it."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        program = [sys.executable, __file__, "--counted", name, mode, "--steps", str(steps)]
        counting = ["--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
        subprocess.run(["valgrind", *counting, *program], check=True, capture_output=True)
        totals = re.findall(r"^totals: (\d+)", out.read_text(encoding="utf-8"), re.MULTILINE)
    return int(totals[-1]) / steps


def run_counted(name: str, mode: str, steps: int) -> None:
    """Runs steps with callgrind's counting switched on for them alone."""
    torch.set_num_threads(1)
    run = Training(name, open_budget(name, mode))
    for _ in range(_WARM_UP_STEPS):
        run.advance()
    for state, times in (("on", steps), ("off", 0)):
        control = ["callgrind_control", "-i", state, str(os.getpid())]
        subprocess.run(control, check=True, stdout=subprocess.DEVNULL)
        for _ in range(times):
            run.advance()


def print_times(names: list[str], steps: int, console: Console) -> None:
    """Prints one table of step times."""
    console.print(f"step times, medians of {steps} in turns; load {os.getloadavg()[0]:.1f}")
    table = Table("model", "mode", "step", "to stock", "minor faults")
    for name in names:
        samples = take_turns(name, steps)
        stock = statistics.median(seconds for seconds, _ in samples["stock"])
        for mode in MODES:
            seconds = statistics.median(seconds for seconds, _ in samples[mode])
            faults = statistics.median(faults for _, faults in samples[mode])
            ratio = f"{100 * (seconds / stock - 1):+.1f} %"
            table.add_row(name, mode, f"{1000 * seconds:.2f} ms", ratio, f"{faults:.0f}")
    console.print(table)


def print_instructions(names: list[str], steps: int, console: Console) -> None:
    """Prints one table of instructions."""
    table = Table("model", "mode", "instructions per step", "to stock")
    for name in (_COUNTED.get(name, name) for name in names):
        counts = {m: count_instructions(name, m, steps) for m in MODES if m != "stock again"}
        for mode, count in counts.items():
            ratio = f"{100 * (count / counts['stock'] - 1):+.2f} %"
            table.add_row(name, mode, f"{count / 1e6:.3f} million", ratio)
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--steps", type=int, default=None, help="40 timed, or 5 counted")
    parser.add_argument("--instructions", action="store_true", help="count them with valgrind")
    parser.add_argument("--counted", nargs=2, help=argparse.SUPPRESS)
    arguments, console = parser.parse_args(), Console(width=100)
    if arguments.counted:
        run_counted(*arguments.counted, arguments.steps)
        return 0
    started = time.perf_counter()
    measure = print_instructions if arguments.instructions else print_times
    measure(arguments.models, arguments.steps or (5 if arguments.instructions else 40), console)
    console.print(f"torch {torch.__version__}, one thread; {time.perf_counter() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
