"""The compatibility matrix: one small training program per feature that people use of PyTorch.

`rows.py` says what a row is, `harness.py` runs one with and without a budget and compares, the
modules in THEMES hold the rows, and `table.py` writes docs/compatibility.md from the results.
"""

from __future__ import annotations

from importlib import import_module

from compatibility.rows import ROWS, Row

THEMES = (
    *("randomness", "norms", "writes", "sharing", "layers", "functions", "precision", "gradients"),
    *("updates", "nested", "surroundings", "limits"),
)


def all_rows() -> dict[str, Row]:
    """Returns every row by its name, in the order of the themes."""
    for theme in THEMES:
        import_module(f"compatibility.{theme}")
    return ROWS
