"""Bytes that a step does not touch: they count, and come and go between steps."""

from __future__ import annotations

import pytest
import tidemark
import torch
from training_loops import LOOPS, Loop

pytestmark = pytest.mark.usefixtures("counter")


def step(loop: Loop, budget: tidemark.MemoryBudget) -> tidemark.BudgetInfeasible | None:
    """Runs one step, or returns why it was refused."""
    x, y = loop.next_batch()
    try:
        with budget.step():
            loop.optimizer.zero_grad()
            loss = loop.loss(loop.model(x), y)
            loss.backward()
            loop.optimizer.step()
    except tidemark.BudgetInfeasible as error:
        return error.with_traceback(None)  # it would hold this batch
    return None


def least_feasible(name: str) -> tuple[int, int]:
    """Returns the least feasible budget and the unplanned peak of the loop's third step."""
    torch.manual_seed(0)
    loop = LOOPS[name]()
    with tidemark.MemoryBudget(None) as budget:
        for _ in range(3):
            step(loop, budget)
        graph = budget.graph
    assert graph is not None
    return tidemark.frontier(graph, points=2).least_feasible_bytes, graph.peak_bytes


def test_steps_make_room_for_what_a_program_collects_until_none_is_left() -> None:
    least, peak = least_feasible("gpt")
    memory = (least + peak) // 2
    collected: list[torch.Tensor] = []
    replays = []
    torch.manual_seed(0)
    loop = LOOPS["gpt"]()
    with tidemark.MemoryBudget(memory) as budget:
        while (refused := step(loop, budget)) is None:
            collected.append(torch.empty((memory - least) // 8, dtype=torch.uint8))
            last = budget.last_step
            assert last.peak_bytes <= memory
            if last.kind == "planned":
                assert last.peak_bytes == last.promised_bytes
                replays.append(last.num_replays)
        assert 5 <= len(collected) <= 10
        assert replays[-1] > replays[0]
        assert refused.budget_bytes == memory
        assert refused.least_feasible_bytes > memory
        collected.clear()
        step(loop, budget)
        step(loop, budget)
        last = budget.last_step
        assert last.kind == "planned", last
        assert last.peak_bytes == last.promised_bytes <= memory


def test_what_is_older_than_the_budget_counts_once() -> None:
    """Step 2 begins as step 1 did, which was the first to touch the parameters."""
    parameters = [torch.full((4096,), 1.1, requires_grad=True) for _ in range(6)]

    def run_step() -> None:
        x = torch.ones(4096)
        for parameter in parameters:
            x = torch.sigmoid(x * parameter) * torch.tanh(x + parameter)
        x.sum().backward()
        for parameter in parameters:
            parameter.grad = None

    with tidemark.MemoryBudget(None) as budget:
        for _ in range(3):
            with budget.step():
                run_step()
        graph = budget.graph
    assert graph is not None
    least = tidemark.frontier(graph, points=2).least_feasible_bytes

    with tidemark.MemoryBudget((least + graph.peak_bytes) // 2) as budget:
        for _ in range(4):
            with budget.step():
                run_step()
        assert budget.steps.planned == 3
        assert budget.last_step.peak_bytes == budget.last_step.promised_bytes


def test_targets_older_than_the_budget_count_from_their_first_use() -> None:
    # As a dataset's are; the step is largest before it looks at them.
    targets = [torch.ones(1000) for _ in range(8)]
    weight = torch.ones(1000, requires_grad=True)
    with tidemark.MemoryBudget(None, track=[weight]) as budget:
        for target in targets:
            with budget.step():
                with torch.no_grad():
                    scale = torch.ones(100_000).mean()
                (weight * scale - target).square().sum().backward()
                weight.grad = None
            last = budget.last_step
            assert last.kind in ("watched", "planned"), last
            assert last.promised_bytes in (None, last.peak_bytes)

    assert last.kind == "planned"


def test_a_plan_has_room_for_the_batch_that_a_step_is_the_first_to_touch() -> None:
    torch.manual_seed(0)
    batches = [torch.randn(256, 4) for _ in range(8)]

    def train(memory: int | None) -> tidemark.MemoryBudget:
        torch.manual_seed(1)
        with tidemark.MemoryBudget(memory) as budget:
            layers: list[torch.nn.Module] = [torch.nn.Linear(4, 64)]
            for _ in range(8):
                layers += [torch.nn.Tanh(), torch.nn.Linear(64, 64)]
            model = torch.nn.Sequential(*layers)
            optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
            for batch in batches:
                with budget.step():
                    optimizer.zero_grad()
                    model(batch).square().mean().backward()
                    optimizer.step()
                assert budget.last_step.kind != "adapted", budget.last_step
                assert budget.last_step.promised_bytes in (None, budget.last_step.peak_bytes)
        return budget

    graph = train(None).graph
    assert graph is not None
    least, peak = tidemark.frontier(graph, points=2).least_feasible_bytes, graph.peak_bytes
    # Exactly what a plan promises: not a byte is left.
    memory = tidemark.plan(graph, least + (peak - least) * 3 // 4).peak_bytes
    budget = train(memory)

    assert budget.peak_bytes <= memory
    assert budget.steps.planned == len(batches) - 2
