"""The least budget is the step's own: however its ops were timed, a plan for it runs inside it."""

from __future__ import annotations

import json
import random

import pytest
import tidemark
from compatibility import all_rows
from compatibility.harness import differences, find_range, run_row, state_of
from counted_runs import assert_equal, assert_planned, run
from training_loops import LOOPS

pytestmark = pytest.mark.usefixtures("counter")


def with_other_times(graph: tidemark.StepGraph, seed: int) -> tidemark.StepGraph:
    """Returns the step as recorded where ops take up to eight times as long or short."""
    draw = random.Random(seed)
    document = json.loads(graph.to_json())
    for event in document["events"]:
        if "cost_ns" in event:
            event["cost_ns"] = 1 + int(event["cost_ns"] * 2 ** draw.uniform(-3, 3))
    return tidemark.StepGraph.from_json(json.dumps(document))


def test_the_least_budget_holds_however_long_ops_take() -> None:
    # The plan keeps scalars that the host makes, and the budget has not one byte to spare.
    make = LOOPS["hugging_gpt2"]
    stock = run(make, None, 4)
    with tidemark.MemoryBudget(None) as budget:
        run(make, budget, 4)
        graph = budget.graph
    assert graph is not None
    least = tidemark.frontier(graph, points=2).least_feasible_bytes

    for seed in range(4):
        timed = with_other_times(graph, seed)
        assert tidemark.frontier(timed, points=2).least_feasible_bytes == least
        with tidemark.MemoryBudget(least, plan=tidemark.plan(timed, least)) as budget:
            found = run(make, budget, 4)

        assert_equal(found, stock)
        assert_planned(found, least)


def test_a_plan_from_elsewhere_lets_go_of_what_no_saved_tensor_wants_any_more() -> None:
    # The first steps begin with other blocks alive: their dropped values hold what they are made
    # from, and the least budget has no room for that once their saved tensors are gone.
    row = all_rows()["slices_assigned"]
    known = find_range(row)
    plan = tidemark.plan(known.graph, known.least)

    with tidemark.MemoryBudget(known.least, plan=plan) as budget:
        found = run_row(row.make, budget, look=state_of)

    assert differences(found, known.stock) == []
    assert [step.kind for step in found.summaries][1:] == ["adapted"] + ["planned"] * 4
    assert max(found.counted) <= known.least
