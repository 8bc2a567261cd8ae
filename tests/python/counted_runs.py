"""Runs training loops with and without a budget, and keeps all that must not differ."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import counting_allocator
import tidemark
import torch
from training_loops import Loop

STEPS = 8

Step = Callable[..., None]


@dataclass
class Run:
    """What a loop left behind, and what was seen of it."""

    state: list[Any] = field(default_factory=list)
    counted: list[int] = field(default_factory=list)
    summaries: list[tidemark.StepSummary] = field(default_factory=list)


def train(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
    """Trains as people write it: `logits` and `loss` live until the next iteration."""
    loop.optimizer.zero_grad()
    loop.named.logits = loop.model(x)
    loop.named.loss = loop.loss(loop.named.logits, y)
    loop.named.loss.backward()
    loop.optimizer.step()


def snapshot(loop: Loop) -> list[torch.Tensor]:
    """Copies everything into memory that no allocator of ours counts."""
    model = loop.model
    tensors = [torch.get_rng_state(), *model.parameters(), *model.buffers()]
    tensors += [p.grad for p in model.parameters() if p.grad is not None]
    tensors += vars(loop.named).values()
    return [torch.from_numpy(t.detach().numpy().copy()) for t in tensors]


def run(
    make: Callable[[], Any],
    budget: tidemark.MemoryBudget | None,
    steps: int = STEPS,
    step: Step = train,
    look: Callable[[Any], Any] = snapshot,
    seen: Run | None = None,
    around: Callable[[Any, Callable[[], None]], None] = lambda loop, whole_step: whole_step(),
) -> Run:
    """Runs the loop that `make` builds from its beginning; `look` says what is compared.

    `seen`: where to note it, for a loop that may raise. `around`: calls the whole step, budget and
    all, for a loop that does so in a place of its own.
    """
    gc.collect()
    result = Run() if seen is None else seen
    before = counting_allocator.live()
    torch.manual_seed(0)
    loop = make()
    held = 0  # bytes of the snapshots below, which are not the loop's
    for _ in range(steps):
        batch = loop.next_batch()

        def whole_step(batch: tuple[Any, ...] = batch) -> None:
            with budget.step() if budget is not None else nullcontext():
                step(loop, *batch)

        counting_allocator.reset_peak()  # the last step's batch has gone with its function
        try:
            around(loop, whole_step)
        finally:
            result.counted.append(counting_allocator.peak() - before - held)
        if budget is not None:
            result.summaries.append(budget.last_step)
        gc.disable()  # what dies meanwhile would pass for the snapshots'
        at = counting_allocator.live()
        result.state.append(look(loop))
        held += counting_allocator.live() - at
        gc.enable()
    return result


def assert_equal(found: Run, expected: Run) -> None:
    """Asserts that every tensor after every step is bitwise the same."""
    for step, (a, b) in enumerate(zip(found.state, expected.state, strict=True)):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True)), f"step {step} differs"


def assert_planned(found: Run, memory: int) -> None:
    """Asserts that all is inside, and to the promised byte from the third step on."""
    assert max(found.counted) <= memory
    for summary, counted in list(zip(found.summaries, found.counted, strict=True))[2:]:
        assert summary.kind == "planned", summary
        assert summary.peak_bytes == summary.promised_bytes == counted
