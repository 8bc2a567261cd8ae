"""What differs from the step that an arena was laid out for falls back and stays exact."""

from __future__ import annotations

import ctypes
import gc
import threading

import numpy as np
import pytest
import tidemark
import torch
from arena_loops import FIRST_SERVED, STEPS, Loop, Step, assert_same, plain, run, run_both


def keeps_what_it_freed(loop: Loop) -> None:
    output = loop.forward()
    if loop.step % 5 == 0:
        loop.kept.append(output.detach())
    loop.train(output.square().mean())


def keeps_it_as_numpy(loop: Loop) -> None:
    output = loop.forward()
    if loop.step % 5 == 0:
        loop.kept.append(output.detach().numpy())
    loop.train(output.square().mean())


def allocates_in_another_order(loop: Loop) -> None:
    sizes = (1000, 3000) if loop.step not in (7, 9) else (3000, 1000)
    extra = [torch.ones(size) for size in sizes]
    output = loop.forward()
    loop.train(output.square().mean() * extra[0].mean())


def allocates_more(loop: Loop) -> None:
    output = loop.forward()
    if loop.step == 7:
        loop.kept.append(torch.frombuffer(bytearray(b"12345678"), dtype=torch.uint8) + 1)
    loop.train(output.square().mean())


def changes_shapes(loop: Loop) -> None:
    loop.train(loop.forward(16 if loop.step % 5 else 24).square().mean())


def throws_in_the_middle(loop: Loop) -> None:
    output = loop.forward()
    if loop.step in (5, 8):
        raise ArithmeticError
    loop.train(output.square().mean())


def frees_from_another_thread(loop: Loop) -> None:
    output = loop.forward()
    holder = [output.detach().clone()]
    if loop.step in (6, 7, 9):
        dies = threading.Thread(target=holder.clear)
        loop.train(output.square().mean())
        dies.start()
        dies.join()
    else:
        holder.clear()
        loop.train(output.square().mean())


def resizes_a_storage(loop: Loop) -> None:
    output = loop.forward()
    scratch = torch.ones(50)
    if loop.step == 7:
        scratch.untyped_storage().resize_(4000)
        loop.kept.append(scratch)
    loop.train(output.square().mean() * scratch[:50].mean())


def shares_its_memory(loop: Loop) -> None:
    output = loop.forward()
    copy = output.detach().clone()
    if loop.step in (6, 9):
        loop.kept.append(copy.share_memory_())
    loop.train(output.square().mean())


def keeps_a_view_of_a_gradient(loop: Loop) -> None:
    loop.forward().square().mean().backward()
    if loop.step in (6, 8):
        loop.kept.append(next(loop.model.parameters()).grad[0])
    loop.optimizer.step()
    loop.optimizer.zero_grad()


FALLS_BACK = [
    keeps_what_it_freed,
    keeps_it_as_numpy,
    allocates_in_another_order,
    allocates_more,
    changes_shapes,
    frees_from_another_thread,
    resizes_a_storage,
    keeps_a_view_of_a_gradient,
]


@pytest.mark.parametrize("step", FALLS_BACK, ids=lambda step: step.__name__)
def test_what_differs_falls_back_and_stays_exact(step: Step) -> None:
    summary = run_both(step).arena
    assert summary.num_served > 0
    assert summary.num_fallen_back > 0 or summary.num_mappings > 1


@pytest.mark.parametrize("step", [throws_in_the_middle, shares_its_memory])
def test_what_only_ends_early_stays_exact(step: Step) -> None:
    assert run_both(step).arena.num_served > 0


def test_programs_that_never_repeat_themselves_are_given_up() -> None:
    def step(loop: Loop) -> None:
        output = loop.forward()
        loop.kept = [torch.frombuffer(bytearray(8 * loop.step + 8), dtype=torch.uint8) + 1]
        loop.train(output.square().mean())

    stock = run(step, None, 60)
    with tidemark.MemoryBudget(None, arena="poison") as budget:
        assert_same(run(step, budget, 60), stock)


def test_what_outlives_the_budget_stays_valid() -> None:
    expected = run(keeps_what_it_freed, None)[-1][-1]
    kept: list[torch.Tensor] = []

    def step(loop: Loop) -> None:
        keeps_what_it_freed(loop)
        kept[:] = loop.kept

    with tidemark.MemoryBudget(None, arena="poison") as budget:
        run(step, budget)
        assert budget.arena.num_mappings > 1
    del budget
    gc.collect()
    run(plain, None)
    assert np.array_equal(kept[-1].numpy(), expected)


def test_poison_lies_where_something_was_freed() -> None:
    seen: list[bytes] = []

    def step(loop: Loop) -> None:
        scratch = torch.ones(64)
        pointer = scratch.data_ptr()
        del scratch
        seen.append(ctypes.string_at(pointer, 256) if loop.step >= FIRST_SERVED else b"")
        plain(loop)

    with tidemark.MemoryBudget(None, arena="poison") as budget:
        run(step, budget)
    assert seen[FIRST_SERVED:] == [b"\xff" * 256] * (STEPS - FIRST_SERVED)
