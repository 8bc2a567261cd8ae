"""What a budget costs where it drops nothing or next to nothing: step times in turns, with A/A.

Four processes per model train the same and take turns: stock torch twice (their ratio is the A/A
row: what the machine's noise alone looks like), an unlimited budget, and a budget one allocation
below the unplanned peak. Prints the ratio of median step times to stock torch's and the minor page
faults per step. `--instructions` prints instructions per step instead, counted by
callgrind: they are the same in every run. It counts the GPT on less data (in full it takes hours):
what a budget adds depends on the number of ops alone.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tidemark
import torch
from rich.console import Console
from rich.table import Table
from training import Training
from turns import Mode, stock, table_of_times

MODELS = ("gpt", "mlp", "cells")
_COUNTED = {"gpt": "small_gpt"}


def unplanned_peak(name: str) -> int:
    """Returns the peak of the third step, in bytes."""
    with tidemark.MemoryBudget(None) as budget:
        run = Training(name, budget)
        for _ in range(3):
            run.advance()
        run.close()
        return budget.peak_bytes


def unlimited(task: str) -> tidemark.MemoryBudget:
    """Opens a budget that nothing exceeds."""
    return tidemark.MemoryBudget(None)


def one_drop(task: str) -> tidemark.MemoryBudget:
    """Opens a budget one allocation below the unplanned peak."""
    return tidemark.MemoryBudget(unplanned_peak(task) - 1)


MODES = (
    Mode("stock", stock),
    Mode("stock again", stock),
    Mode("unlimited", unlimited),
    Mode("one drop", one_drop),
)


def count_instructions(task: str, mode: Mode, steps: int) -> float:
    """Returns instructions per step; this program runs itself under callgrind for it."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        program = [sys.executable, __file__, "--counted", task, mode.name, "--steps", str(steps)]
        counting = ["--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
        subprocess.run(["valgrind", *counting, *program], check=True, capture_output=True)
        totals = re.findall(r"^totals: (\d+)", out.read_text(encoding="utf-8"), re.MULTILINE)
    return int(totals[-1]) / steps


def run_counted(task: str, name: str, steps: int) -> None:
    """Runs steps with callgrind's counting switched on for them alone."""
    torch.set_num_threads(1)
    mode = next(mode for mode in MODES if mode.name == name)
    run = Training(task, mode.open_budget(task))
    for _ in range(mode.warm_up_steps):
        run.advance()
    for state, times in (("on", steps), ("off", 0)):
        control = ["callgrind_control", "-i", state, str(os.getpid())]
        subprocess.run(control, check=True, stdout=subprocess.DEVNULL)
        for _ in range(times):
            run.advance()


def table_of_instructions(tasks: list[str], steps: int) -> Table:
    """Counts every task in every mode."""
    table = Table("model", "mode", "instructions per step", "to stock")
    for task in (_COUNTED.get(task, task) for task in tasks):
        counts = {m.name: count_instructions(task, m, steps) for m in MODES if m is not MODES[1]}
        for name, count in counts.items():
            ratio = f"{100 * (count / counts['stock'] - 1):+.2f} %"
            table.add_row(task, name, f"{count / 1e6:.3f} million", ratio)
    return table


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
    started, load = time.perf_counter(), os.getloadavg()[0]
    if arguments.instructions:
        console.print(table_of_instructions(arguments.models, arguments.steps or 5))
    else:
        steps = arguments.steps or 40
        console.print(f"step times, medians of {steps} in turns; load {load:.1f}")
        console.print(table_of_times(arguments.models, MODES, steps))
    console.print(f"torch {torch.__version__}, one thread; {time.perf_counter() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
