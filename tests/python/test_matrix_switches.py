"""Rows of the matrix with everything switched on: arena, modules in place, updates in backward."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
import tidemark
import torch
from compatibility import all_rows
from compatibility.harness import named_bits, run_row, state_of
from compatibility.rows import Program, Row
from counted_runs import Run

pytestmark = pytest.mark.usefixtures("counter")

SUPPORTED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)

IS_GONE = "'NoneType'"
IS_UPDATED = "modified by an inplace operation"
REFUSED = {
    "gradient_scaler": "a scaled loss",
    "adam_with_a_closure": "closure",
    "clipped_gradient_norm": "cannot be clipped",
    "clipped_gradient_norm_without_for_each": "cannot be clipped",
    "gradient_accumulation": "a second backward",
    "two_networks_against_each_other": "a second backward",
    "a_graph_retained_and_used_twice": IS_UPDATED,
    "backward_to_chosen_inputs": IS_UPDATED,
    "several_losses": IS_UPDATED,
    "writes_to_data": IS_GONE,
    "noise_in_the_gradients": IS_GONE,
    "sharpness_aware_minimisation": IS_GONE,
    "func_grad": IS_GONE,
    "gradients_per_sample_by_vmap": IS_GONE,
}
"""Rows that need gradients after backward, or weights as they were; and what they are told."""

QUICK = ("norms", "sharing")
"""Themes of which `make test` runs every row."""


def params(are_refused: bool) -> list[Any]:
    """The rows whose steps repeat, those that are refused or the others."""
    return [
        pytest.param(
            row, id=name, marks=[] if are_refused or row.theme in QUICK else [pytest.mark.full]
        )
        for name, row in all_rows().items()
        if (name in REFUSED) == are_refused
        and not (row.apart or row.message or row.dynamic or row.full)
    ]


def look(program: Program) -> dict[str, object]:
    """All that must be the same; gradients go with their update."""
    state = state_of(replace(program, optimizers=[]))
    for index, optimizer in enumerate(program.optimizers):
        state.update(named_bits(f"optimizer {index}", optimizer.state_dict()))
    return {key: bits for key, bits in state.items() if not key.startswith("model gradient")}


def in_place(row: Row) -> list[str]:
    """The modules of a row that may write over their inputs."""
    torch.manual_seed(0)
    program = row.make()
    graph = tidemark.record(program.train, *program.next_batch())
    try:
        return list(tidemark.inplace(program.model, graph).switched)
    except ValueError:  # the model runs no op
        return []


def switched(row: Row, paths: list[str], undo: ExitStack) -> Program:
    """The row's program with the switches on, until `undo` is closed."""
    program = row.make()
    for path in paths:
        program.model.get_submodule(path).inplace = True
    for optimizer in program.optimizers:
        if type(optimizer) in SUPPORTED:
            undo.enter_context(tidemark.optimizer_in_backward(optimizer))
    return program


def train(row: Row, paths: list[str], budget: tidemark.MemoryBudget | None) -> Run:
    with ExitStack() as undo:
        return run_row(lambda: switched(row, paths, undo), budget, look=look)


@pytest.mark.parametrize("row", params(are_refused=False))
def test_a_row_is_the_same_with_everything_on(row: Row) -> None:
    stock = run_row(row.make, None, look=look)
    paths = in_place(row)
    with tidemark.MemoryBudget(None, arena="poison") as budget:
        found, graph = train(row, paths, budget), budget.graph
    assert found.state == stock.state
    assert graph is not None
    least = tidemark.frontier(graph, points=2).least_feasible_bytes
    memory = least + 3 * (graph.peak_bytes - least) // 10
    plan = tidemark.plan(graph, memory)
    with tidemark.MemoryBudget(memory, plan=plan, arena="poison") as budget:
        assert train(row, paths, budget).state == stock.state


@pytest.mark.parametrize("row", params(are_refused=True))
def test_a_row_that_needs_gradients_is_refused_aloud(row: Row) -> None:
    with pytest.raises(Exception, match=REFUSED[row.name]), tidemark.MemoryBudget(None) as budget:
        train(row, [], budget)
