"""The least budget is the step's own: however its ops were timed, a plan for it runs inside it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
import tidemark
from compatibility import all_rows
from compatibility.harness import differences, find_range, run_row, state_of
from compatibility.rows import Program
from counted_runs import Run, assert_equal, assert_planned, run
from training_loops import LOOPS

pytestmark = pytest.mark.usefixtures("counter")


def timed(
    graph: tidemark.StepGraph, time_of: Callable[[dict[str, Any]], int]
) -> tidemark.StepGraph:
    """Returns the step as recorded where every op takes so many nanoseconds."""
    document = json.loads(graph.to_json())
    for event in document["events"]:
        if "cost_ns" in event:
            event["cost_ns"] = time_of(event)
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
        draw = random.Random(seed)

        def about_as_long(event: dict[str, Any], draw: random.Random = draw) -> int:
            return 1 + int(event["cost_ns"] * 2 ** draw.uniform(-3, 3))

        other = timed(graph, about_as_long)
        assert tidemark.frontier(other, points=2).least_feasible_bytes == least
        with tidemark.MemoryBudget(least, plan=tidemark.plan(other, least)) as budget:
            found = run(make, budget, 4)

        assert_equal(found, stock)
        assert_planned(found, least)


@pytest.mark.parametrize(
    "name",
    [
        "slices_assigned",  # what is dropped loses its last saved tensor before the peak
        "multihead_attention_with_added_keys",  # ... and only after it
        "hessian_vector_products",  # ... and not at all: a graph outlives the step
    ],
)
def test_a_plan_from_elsewhere_holds_in_the_steps_before_its_own(name: str) -> None:
    # They begin with other blocks alive: what the plan drops is secured by what it is made from,
    # and the least budget has no room for more than the plan takes.
    row = all_rows()[name]
    known = find_range(row)
    plan = tidemark.plan(known.graph, known.least)

    with tidemark.MemoryBudget(known.least, plan=plan) as budget:
        found = run_row(row.make, budget, look=state_of)

    assert differences(found, known.stock) == []
    assert found.summaries[1].kind == "adapted"
    assert max(found.counted) <= known.least


def test_what_was_given_up_for_a_plan_is_missed_with_a_sentence() -> None:
    # The plan drops values and never restores them: the step leaves it in backward. What they are
    # made from was let go for want of room, as a plan restores from what it keeps. (With other
    # times it would drop what the step does not miss.)
    row = all_rows()["multihead_attention_with_added_keys"]
    known = find_range(row)
    graph = timed(known.graph, lambda event: 100 if event["name"] == "aten::_softmax" else 1)
    document = json.loads(tidemark.plan(graph, known.least).to_json())
    document["actions"] = [
        {key: values for key, values in action.items() if key != "replay"}
        for action in document["actions"]
        if set(action) - {"event", "replay"}
    ]
    plan = tidemark.Plan.from_json(json.dumps(document))
    programs: list[Program] = []
    seen = Run()

    def make() -> Program:
        programs.append(row.make())
        return programs[-1]

    with (
        tidemark.MemoryBudget(known.least, plan=plan) as budget,
        pytest.raises(tidemark.BudgetExceeded, match="as they were before the step"),
    ):
        run_row(make, budget, look=state_of, seen=seen)

    before, after = seen.state[-1], state_of(programs[-1])
    assert [key for key in before if "parameter" in key and before[key] != after[key]] == []
