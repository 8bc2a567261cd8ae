"""auto_checkpoint: a loop that knows of no steps is held to its budget all the same."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import counting_allocator
import pytest
import tidemark
import torch
from training_loops import LOOPS, Loop

pytestmark = pytest.mark.usefixtures("counter")

STEPS = 6


@contextmanager
def unchanged() -> Iterator[None]:
    yield


def train(memory: int | None) -> tuple[list[torch.Tensor], tidemark.MemoryBudget | None, int]:
    """Returns what the loop left behind, its budget, and the counted peak."""
    gc.collect()
    before = counting_allocator.live()
    torch.manual_seed(0)
    loop = LOOPS["gpt"]()
    counting_allocator.reset_peak()
    held = (
        unchanged()
        if memory is None
        else tidemark.auto_checkpoint(loop.model, loop.optimizer, memory_budget=memory)
    )
    with held as budget:
        for _ in range(STEPS):
            x, y = loop.next_batch()
            logits = loop.model(x)
            loss = loop.loss(logits, y)
            loss.backward()
            loop.optimizer.step()
            loop.optimizer.zero_grad()
    peak = counting_allocator.peak() - before
    tensors = [loss.detach(), torch.get_rng_state(), *(p.detach() for p in loop.model.parameters())]
    return [torch.from_numpy(t.numpy().copy()) for t in tensors], budget, peak


def test_a_plain_loop_is_exact_inside_and_planned() -> None:
    expected, _, peak = train(None)
    memory = peak * 3 // 4

    found, budget, held_peak = train(memory)

    assert all(map(torch.equal, found, expected))
    assert held_peak <= memory < peak
    assert budget is not None
    assert budget.steps.planned == STEPS - 2
    assert budget.last_step.num_replays > 0
    assert budget.peak_bytes <= memory


def small() -> Loop:
    torch.manual_seed(0)
    return LOOPS["mlp"]()


@pytest.mark.parametrize("failing", [0, 3])
def test_a_loop_that_catches_an_error_goes_on_in_the_same_step(failing: int) -> None:
    def run(memory: str | None) -> tuple[list[torch.Tensor], tidemark.MemoryBudget | None]:
        loop = small()
        held = (
            unchanged()
            if memory is None
            else tidemark.auto_checkpoint(loop.model, loop.optimizer, memory_budget=memory)
        )
        with held as budget:
            for i in range(STEPS):
                x, y = loop.next_batch()
                try:
                    loss = loop.loss(loop.model(x), y)
                    if i == failing:
                        raise KeyError("of the loop's own")
                    loss.backward()
                except KeyError:
                    continue
                loop.optimizer.step()
                loop.optimizer.zero_grad()
        return [p.detach().clone() for p in loop.model.parameters()], budget

    expected, _ = run(None)
    found, budget = run("1 GiB")

    assert all(map(torch.equal, found, expected))
    assert budget is not None
    counts = budget.steps
    assert counts.watched + counts.planned + counts.adapted + counts.diverged == STEPS - 1
    assert not budget.is_in_step


def test_evaluation_and_inner_modules_begin_no_step() -> None:
    loop = small()
    x, _ = loop.next_batch()

    with tidemark.auto_checkpoint(loop.model, loop.optimizer, memory_budget="1 GiB") as budget:
        loop.model.eval()
        loop.model(x)
        assert not budget.is_in_step
        loop.model.train()
        loop.model[0](x)
        assert not budget.is_in_step
        loop.model(x)
        assert budget.is_in_step
        loop.optimizer.step()
        assert not budget.is_in_step


def test_the_model_and_the_optimizer_are_left_as_they_were() -> None:
    loop = small()
    x, y = loop.next_batch()
    keys = list(loop.model.state_dict())
    shown = repr(loop.model)

    def fail_in(budget: tidemark.MemoryBudget) -> None:
        loop.loss(loop.model(x), y).backward()
        assert budget.is_in_step
        assert list(loop.model.state_dict()) == keys
        assert repr(loop.model) == shown
        raise KeyError("the user's")

    held = tidemark.auto_checkpoint(loop.model, loop.optimizer, memory_budget="1 GiB")
    with pytest.raises(KeyError, match="the user's"), held as budget:
        fail_in(budget)

    assert not budget.is_in_step
    assert not loop.model._forward_pre_hooks
    assert not loop.optimizer._optimizer_step_post_hooks
    assert counting_allocator.is_current()
    loop.model(x)
    assert not budget.is_in_step
