"""A plan file cannot make a step do anything but run slower or be refused."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tidemark
import torch
from counted_runs import Run, assert_equal, run
from torch import nn
from training_loops import Loop

pytestmark = pytest.mark.usefixtures("counter")

NUM_MUTANTS = 150
STEPS = 4

Json = dict[str, Any]


class Model(nn.Module):
    """Something to replay, something random, something in place, and something that pins."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(8, 32), nn.Linear(32, 8)
        self.drop = nn.Dropout(0.1)
        self.norm = nn.BatchNorm1d(32)
        self.scales = nn.Parameter(torch.ones(4, 32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(2):
            h = self.drop(self.norm(self.up(x)).relu_())
            chosen = h.detach()[:, :4].argmax(1)
            x = self.down(nn.functional.gelu(h * self.scales[chosen])).tanh()
        return x


def make() -> Loop:
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    return Loop(model, optimizer, lambda: (torch.randn(64, 8), torch.randint(0, 8, (64,))))


def integers(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all numbers in it."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, child in items:
        if isinstance(child, (dict, list)):
            yield from integers(child, (*path, key))
        elif isinstance(child, int):
            yield (*path, key)


def change_numbers(plan: Json, chance: random.Random) -> None:
    """Some numbers, anywhere, become others."""
    places = list(integers(plan))
    for path in chance.sample(places, chance.randint(1, 3)):
        node = plan
        for key in path[:-1]:
            node = node[key]
        old = node[path[-1]]
        node[path[-1]] = chance.choice([0, 1, -1, old + 1, old - 1, 2**31 - 1, 2**63 - 1])


def change_actions(plan: Json, chance: random.Random) -> None:
    """Some lists of actions ask for less, for more, or elsewhere; values are all known."""
    events = [item["event"] for item in plan["signature"]["items"]]
    blocks = [block for item in plan["signature"]["items"] for block in item.get("outputs", [])]
    plan["values"] = [
        {"value": i, "block": block, **({"version": version} if version else {})}
        for i, (block, version) in enumerate(
            sorted({(block, version) for block in blocks for version in (0, 1)})
        )
    ]
    asked: dict[int, Json] = {}
    for _ in range(chance.randint(1, 12)):
        at = asked.setdefault(chance.choice(events), {})
        kind = chance.choice(["drop", "drop", "keep", "replay"])
        target = (
            chance.choice(events) if kind == "replay" else chance.randrange(len(plan["values"]))
        )
        at[kind] = sorted({*at.get(kind, []), target})
    plan["actions"] = [{"event": event, **asked[event]} for event in sorted(asked)]


def drop_everything(plan: Json, chance: random.Random) -> None:
    """Every value goes as soon as it is there; a few are kept."""
    change_actions(plan, chance)
    items = [item for item in plan["signature"]["items"] if item.get("outputs")]
    value_of = {(v["block"], v.get("version", 0)): v["value"] for v in plan["values"]}
    made: Counter[int] = Counter()
    plan["actions"] = []
    for item in items:
        versions = {block: made[block] for block in item["outputs"]}
        made.update(item["outputs"])
        drops = [value_of[key] for key in versions.items() if key in value_of]
        if drops and chance.random() < 0.9:
            plan["actions"].append({"event": item["event"], "drop": sorted(drops)})


def judge(stock: Run, mutant: Json, memory: int) -> str:
    """Follows the plan and says how it went; anything but what is allowed fails."""
    try:
        plan = tidemark.Plan.from_json(json.dumps(mutant))
        budget = tidemark.MemoryBudget(memory, plan=plan)
    except ValueError as refusal:
        return "refused" if "plan" in str(refusal) else "refused without a place"
    found = Run()
    with budget:
        try:
            run(make, budget, STEPS, seen=found)
        except (tidemark.BudgetExceeded, tidemark.BudgetInfeasible):
            return "too little"
        finally:
            assert max(found.counted, default=0) <= memory
    assert_equal(found, stock)
    return found.summaries[0].kind


@pytest.mark.parametrize("mutate", [change_numbers, change_actions, drop_everything])
def test_a_plan_from_anywhere_changes_no_number(
    mutate: Callable[[Json, random.Random], None],
) -> None:
    chance = random.Random(5)
    stock = run(make, None, STEPS)
    with tidemark.MemoryBudget(None) as budget:
        run(make, budget, STEPS)
        graph = budget.graph
    assert graph is not None
    least = tidemark.frontier(graph, points=2).least_feasible_bytes
    outcomes: Counter[str] = Counter()
    for number in range(NUM_MUTANTS):
        between = (least + graph.peak_bytes) // 2
        memory = chance.choice([least * 9 // 10, least, between, 2 * graph.peak_bytes])
        mutant = copy.deepcopy(json.loads(tidemark.plan(graph, max(least, memory)).to_json()))
        mutate(mutant, chance)
        try:
            outcomes[judge(stock, mutant, memory)] += 1
        except BaseException:
            print(f"mutant {number} within {memory} B:", json.dumps(mutant))
            raise

    print(outcomes)
    assert len(outcomes) > 1
    assert "refused without a place" not in outcomes
