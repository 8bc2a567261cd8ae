"""The compatibility matrix: every row is exact and inside its budget, or says clearly why not."""

from __future__ import annotations

import os

import pytest
from compatibility import all_rows
from compatibility.harness import SHARES, results_of
from compatibility.rows import Row
from compatibility.table import PAGE, title

ALL = bool(os.environ.get("TIDEMARK_TEST_ALL"))

pytestmark = pytest.mark.usefixtures("counter")


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=name, marks=[pytest.mark.full] if row.full else [])
        for name, row in all_rows().items()
    ],
)
def test_a_row_is_exact_inside_and_planned(row: Row) -> None:
    for result in results_of(row, SHARES if ALL else (0.3,)):
        assert result.wrong == []


def test_the_page_lists_exactly_the_rows_that_exist() -> None:
    lines = [line.split("|") for line in PAGE.read_text("utf-8").splitlines()]
    listed = [cells[1].strip() for cells in lines if len(cells) > 2 and cells[2].strip(" -")]

    assert listed == [title(name) for name in all_rows()]
