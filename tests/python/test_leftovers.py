"""What is alive or dies beside a step is not taken for a part of it."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field

import pytest
import tidemark
import torch
from counted_runs import train
from tidemark.places import PlaceTracker
from training_loops import LOOPS, Loop

pytestmark = pytest.mark.usefixtures("counter")


@dataclass
class Trained:
    """A loop after some steps, how those went, and the last one as data."""

    loop: Loop
    steps: list[tidemark.StepSummary] = field(default_factory=list)
    graph: tidemark.StepGraph | None = None

    @property
    def kinds(self) -> list[str]:
        return [step.kind for step in self.steps]


def train_gpt(memory: int | None) -> Trained:
    gc.collect()
    torch.manual_seed(0)
    with tidemark.MemoryBudget(memory) as budget:
        result = Trained(LOOPS["gpt"]())
        for _ in range(5):
            x, y = result.loop.next_batch()
            with budget.step():
                train(result.loop, x, y)
            result.steps.append(budget.last_step)
        result.graph = budget.graph
    return result


@pytest.mark.parametrize("share", [None, 0.75])
def test_a_trained_model_that_is_still_alive_changes_no_kind_of_step(share: float | None) -> None:
    # Its optimizer state has the sizes of the new model's, which appears in the first step only.
    first = train_gpt(None)
    assert first.graph is not None
    before = sum(p.untyped_storage().nbytes() for p in first.loop.model.parameters())
    memory = None if share is None else int(first.graph.peak_bytes * share) + 4 * before

    second = train_gpt(memory)

    assert first.kinds == second.kinds == ["watched"] * 2 + ["planned"] * 3
    for step in second.steps[2:]:
        assert step.peak_bytes == step.promised_bytes


def test_a_copy_of_the_best_weights_costs_one_watched_step() -> None:
    torch.manual_seed(0)
    kinds = []
    with tidemark.MemoryBudget(None) as budget:
        loop = LOOPS["mlp"]()
        best: list[torch.Tensor] = []
        for i in range(10):
            x, y = loop.next_batch()
            with budget.step():
                train(loop, x, y)
            kinds.append(budget.last_step.kind)
            if i % 3 == 2:
                best = [p.detach().clone() for p in loop.model.parameters()]

    assert len(best) > 0
    assert "diverged" not in kinds
    assert kinds[4:].count("planned") >= 4


def test_what_dies_while_names_are_looked_up_is_freed_between_ops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Looking for module and line runs Python, and with it the garbage collector at times.
    doomed: list[torch.Tensor] = []
    lookups: list[PlaceTracker] = []
    find = PlaceTracker.find

    def collect_and_find(tracker: PlaceTracker) -> tuple[str, str]:
        lookups.append(tracker)
        if len(lookups) == 3:
            doomed.clear()
        return find(tracker)

    monkeypatch.setattr(PlaceTracker, "find", collect_and_find)
    weight = torch.ones(100, requires_grad=True)
    with tidemark.MemoryBudget(None) as budget:
        doomed.append(torch.ones(1000))
        with budget.step():
            weight.sin().exp().sum().backward()
        graph = budget.graph

    assert graph is not None  # it used to be no graph at all: an op freed what it never had
    assert graph.peak_bytes == budget.peak_bytes


def test_garbage_of_earlier_steps_does_not_count() -> None:
    gc.collect()
    gc.disable()
    try:
        with tidemark.MemoryBudget(None):
            cycle: list[object] = [torch.ones(1000)]
            cycle.append(cycle)
            del cycle
        with tidemark.MemoryBudget(None) as budget, budget.step():
            torch.ones(10, requires_grad=True).sum().backward()
    finally:
        gc.enable()

    assert budget.peak_bytes < 1000
