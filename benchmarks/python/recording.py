"""Records the step of a task with op times that a busy machine cannot spoil alone."""

from __future__ import annotations

import json
import statistics

import tidemark
from training import Training

NUM_RECORDINGS = 5


def record_once(name: str) -> tidemark.StepGraph:
    """Returns the task's second step, recorded without a limit."""
    with tidemark.MemoryBudget(None) as budget:
        run = Training(name, budget)
        run.advance()
        run.advance()
        run.close()
        return budget.graph


def learn(name: str) -> tidemark.StepGraph:
    """Returns the step with the median time of each op over `NUM_RECORDINGS` recordings."""
    recorded = [json.loads(record_once(name).to_json()) for _ in range(NUM_RECORDINGS)]
    for events in zip(*(step["events"] for step in recorded), strict=True):
        if "cost_ns" in events[0]:
            costs = [event.get("cost_ns", 0) for event in events]
            events[0]["cost_ns"] = int(statistics.median(costs))
    return tidemark.StepGraph.from_json(json.dumps(recorded[0]))
