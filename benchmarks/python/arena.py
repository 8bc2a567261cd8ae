"""What an arena costs or saves: step times in turns beside stock torch with two mallocs, with A/A.

Four processes per model train the same and take turns: stock torch twice with glibc's malloc as it
is (their ratio is the A/A row), stock torch with a malloc that gives nothing back to the system,
and planned steps served from an arena that drop nothing. The model `wide` is
made of blocks above 32 MiB, which glibc takes from the system and gives back every time.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

import tidemark
import torch
from rich.console import Console
from turns import Mode, stock, table_of_times

MODELS = ("gpt", "resnet", "wide")
TUNED = {"MALLOC_MMAP_THRESHOLD_": str(4 << 30), "MALLOC_TRIM_THRESHOLD_": str(16 << 30)}


def with_arena(task: str) -> tidemark.MemoryBudget:
    """Opens a budget without a limit, whose planned steps lie in an arena."""
    return tidemark.MemoryBudget(None, arena="on")


MODES = (
    Mode("stock", stock),
    Mode("stock again", stock),
    Mode("tuned malloc", stock, environment=TUNED),
    Mode("arena", with_arena, warm_up_steps=8),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--steps", type=int, default=40)
    arguments, console = parser.parse_args(), Console(width=100)
    started, load = time.perf_counter(), os.getloadavg()[0]
    table = table_of_times(arguments.models, MODES, arguments.steps)
    console.print(f"step times, medians of {arguments.steps} in turns; load {load:.1f}", table)
    console.print(f"torch {torch.__version__}, one thread; {time.perf_counter() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
