"""Long runs: nothing grows, budgets open and close at will, and may change between steps."""

from __future__ import annotations

import os
import statistics
from collections import Counter
from itertools import cycle
from pathlib import Path

import counting_allocator
import pytest
import tidemark
import torch
from counted_runs import assert_equal, run
from torch.nn import functional
from training_loops import GPT, LOOPS, Loop, tokens

pytestmark = pytest.mark.usefixtures("counter")

ALL = bool(os.environ.get("TIDEMARK_TEST_ALL"))
STEPS = 2000 if ALL else 240
CYCLES = 200 if ALL else 60
MOST_GROWTH = 1 << 20  # of resident memory between two windows: what malloc may still learn
SHAPES = ((4, 32), (4, 24), (3, 32), (2, 16))


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def assert_level(readings: list[int]) -> None:
    """Asserts that the last quarter lies no higher than the second one."""
    quarter = len(readings) // 4
    early, late = readings[quarter : 2 * quarter], readings[-quarter:]
    assert statistics.median(late) - statistics.median(early) <= MOST_GROWTH


def small_gpt() -> Loop:
    model = GPT(width=32, layers=2)
    return Loop(model, torch.optim.AdamW(model.parameters(), 1e-3), lambda: tokens(4, 32))


def train_on(loop: Loop, batch: int, time: int) -> None:
    x, y = tokens(batch, time)
    loop.optimizer.zero_grad()
    loop.named.loss = functional.cross_entropy(loop.model(x), y)
    loop.named.loss.backward()
    loop.optimizer.step()


def limits_of(shapes: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    """Returns the least feasible budget and the unplanned peak of the largest shape."""
    torch.manual_seed(0)
    loop = small_gpt()
    with tidemark.MemoryBudget(None) as budget:
        for _ in range(3):
            with budget.step():
                train_on(loop, *shapes[0])
        graph = budget.graph
    assert graph is not None
    return tidemark.frontier(graph, points=2).least_feasible_bytes, graph.peak_bytes


def test_nothing_grows_while_shapes_alternate_under_a_tight_budget() -> None:
    least, peak = limits_of(SHAPES)
    memory = least + (peak - least) // 4
    torch.manual_seed(0)
    loop = small_gpt()
    resident, live, tapes = [], [], Counter[tuple[tuple[int, int], int, int]]()
    kinds = Counter[str]()
    with tidemark.MemoryBudget(memory) as budget:
        warm = 40
        for step, shape in zip(range(STEPS + warm), cycle(SHAPES), strict=False):
            with budget.step():
                train_on(loop, *shape)
            if step < warm:
                continue
            last = budget.last_step
            kinds[last.kind] += 1
            assert last.peak_bytes <= memory
            resident.append(resident_bytes())
            live.append(counting_allocator.live())
            tapes[shape, last.tape_bytes, budget.num_variants] += 1

    assert kinds == {"planned": STEPS}
    assert_level(resident)
    assert len(set(live[::4])) == 1  # of the same shape
    assert len(tapes) == len(SHAPES)


def test_budgets_come_and_go_without_a_trace() -> None:
    torch.manual_seed(0)
    loop = small_gpt()
    train_on(loop, 4, 32)
    resident, live = [], []
    for _ in range(CYCLES):
        with tidemark.MemoryBudget("1 GiB", track=[loop.model, loop.optimizer]) as budget:
            for _ in range(3):
                with budget.step():
                    train_on(loop, 4, 32)
            assert budget.steps.planned >= 1
        assert counting_allocator.is_current()
        resident.append(resident_bytes())
        live.append(counting_allocator.live())

    assert len(set(live[1:])) == 1
    assert_level(resident)


def test_a_budget_shrinks_and_grows_between_steps() -> None:
    stock = run(LOOPS["gpt"], None, 12)
    with tidemark.MemoryBudget(None) as budget:
        run(LOOPS["gpt"], budget, 4)
        graph = budget.graph
    assert graph is not None
    least = tidemark.frontier(graph, points=2).least_feasible_bytes
    shares = (0.7, 0.7, 0.7, 0.3, 0.3, 0.1, 0.5, 1.0, 1.0, 0.2, 0.9, 0.9)
    memories = [int(least + share * (graph.peak_bytes - least)) for share in shares]
    upcoming = iter(memories)
    with tidemark.MemoryBudget(memories[0]) as budget:

        def train(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
            loop.optimizer.zero_grad()
            loop.named.logits = loop.model(x)
            loop.named.loss = loop.loss(loop.named.logits, y)
            loop.named.loss.backward()
            loop.optimizer.step()

        def make() -> Loop:
            loop = LOOPS["gpt"]()
            next_batch = loop.next_batch

            def between_steps() -> tuple[torch.Tensor, torch.Tensor]:
                budget.set_memory(next(upcoming))
                return next_batch()

            loop.next_batch = between_steps
            return loop

        found = run(make, budget, len(shares), train)

    assert_equal(found, stock)
    replays = dict[int, int]()
    for summary, memory in list(zip(found.summaries, memories, strict=True))[2:]:
        assert summary.kind == "planned", summary
        assert summary.peak_bytes == summary.promised_bytes <= memory
        replays[memory] = summary.num_replays
    assert replays[max(memories)] == 0
    assert replays[min(memories)] == max(replays.values()) > 0


def test_a_budget_does_not_change_within_a_step_and_names_a_size() -> None:
    with tidemark.MemoryBudget("1 GiB") as budget:
        with budget.step(), pytest.raises(RuntimeError, match="cannot change within a step"):
            budget.set_memory("2 GiB")
        with pytest.raises(ValueError, match="0"):
            budget.set_memory(0)
        assert budget.memory_bytes == 1 << 30
        budget.set_memory("512 MiB")
        assert budget.memory_bytes == 512 << 20
