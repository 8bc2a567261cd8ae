"""Runs every row at every share of its range and writes docs/compatibility.md.

    PYTHONPATH=python:tests/python python -m compatibility.table [ROW ...]

With names, only those rows and new ones are run; the others stay as they are on the page.

The test of the matrix checks that the page lists exactly the rows that exist.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import torch

from compatibility import all_rows
from compatibility.harness import SHARES, STEPS, Result, prepare, results_of
from compatibility.rows import Row

PAGE = Path(__file__).parents[3] / "docs" / "compatibility.md"

HEAD = f"""# Compatibility

What people write in PyTorch, and what becomes of it under a budget. Every row is a small training
program in [`tests/python/compatibility`](../tests/python/compatibility), run for {STEPS} steps by
stock torch and under budgets at 0, 0.3 and 0.6 of its range (from the least feasible budget to the
unplanned peak). Losses, parameters, gradients, buffers, optimizer state and generators are compared
after every step, bit for bit; an independent counter checks that no step passes its budget and that
every planned one peaks at the promised byte (in dynamic rows: at most there).

"planned" is how many of the {STEPS} steps followed a plan to the byte at each of the three budgets;
"again" is how many ops ran again in the last step. A dynamic row is a program whose steps differ
from each other: they are held to the budget without foresight, and a tight budget may refuse one
with `BudgetExceeded` before anything is over it.

Written by `python -m compatibility.table`, on the CPU with torch {torch.__version__}.
"""


def title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def line(row: Row, results: list[Result]) -> str:
    if row.message is not None:
        return f"| {title(row.name)} | a clear no | | | `{row.message}` {row.note} |"
    assert all(result.wrong == [] for result in results), (row.name, results)
    planned = " ".join("-" if r.is_refused else str(r.num_planned) for r in results)
    again = " ".join("-" if r.is_refused else str(r.num_replays) for r in results)
    kind = "works, dynamic" if row.dynamic else "works"
    return f"| {title(row.name)} | {kind} | {planned} | {again} | {row.note} |"


def lines(names: set[str]) -> Iterator[str]:
    """The page; rows that are neither named nor new stay as they are."""
    known = {text.split("|")[1].strip(): text for text in page_lines() if text.startswith("|")}
    yield HEAD
    for theme, rows in groupby(all_rows().values(), key=lambda row: row.theme):
        yield f"## {title(theme)}\n\n| row | | planned | again | note |\n|---|---|---|---|---|"
        for row in rows:
            if names and row.name not in names and title(row.name) in known:
                yield known[title(row.name)]
            else:
                print(row.name, flush=True)
                yield run_line(row)
        yield ""


def page_lines() -> list[str]:
    return PAGE.read_text("utf-8").splitlines() if PAGE.exists() else []


def run_line(row: Row) -> str:
    return line(row, results_of(row, SHARES))


if __name__ == "__main__":
    prepare()
    text = "\n".join(lines(set(sys.argv[1:])))
    PAGE.write_text("\n".join(part.rstrip() for part in text.splitlines()) + "\n", "utf-8")
