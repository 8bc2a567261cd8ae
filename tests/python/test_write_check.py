"""check="checksums": writes that nobody sees are found, and nothing else is reported."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pytest
import tidemark
import torch
from counted_runs import assert_equal, run
from training_loops import LOOPS

pytestmark = pytest.mark.usefixtures("counter")

Write = Callable[[torch.Tensor], None]


def through_numpy(tensor: torch.Tensor) -> None:
    tensor.detach().numpy()[0] += 1


def through_a_raw_pointer(tensor: torch.Tensor) -> None:
    ctypes.c_float.from_address(tensor.data_ptr()).value += 1


def through_dlpack(tensor: torch.Tensor) -> None:
    through_numpy(torch.from_dlpack(tensor.detach()))


def a_step(write: Write, when: str) -> None:
    """Writes to `x`, which is read by ops before and after, and is saved for backward."""
    weight = torch.ones(64, requires_grad=True)
    x = torch.arange(64.0).mul(0.1)
    y = torch.sin(x * weight)
    if when == "before an op":
        write(x)
    z = torch.cos(x) + y
    if when == "before backward":
        write(x)
    z.sum().backward()


@pytest.mark.parametrize("write", [through_numpy, through_dlpack, through_a_raw_pointer])
def test_a_write_before_an_op_is_found_at_the_op_that_reads_it(write: Write) -> None:
    with tidemark.MemoryBudget(None, check="checksums") as budget:
        with pytest.raises(tidemark.UnseenWrite) as caught, budget.step():
            a_step(write, "before an op")

        assert "of aten::cos" in str(caught.value)
        assert "have changed since aten::mul.Tensor wrote them" in str(caught.value)
        assert "test_write_check.py:" in str(caught.value)
        assert "numpy or DLPack view, or a raw pointer" in str(caught.value)


def test_a_write_before_backward_is_found_when_backward_is_served() -> None:
    with tidemark.MemoryBudget(None, check="checksums") as budget:
        with pytest.raises(tidemark.UnseenWrite) as caught, budget.step():
            a_step(through_numpy, "before backward")

        assert "what backward asks for of aten::mul.Tensor" in str(caught.value)
        assert "than when it was saved" in str(caught.value)


def test_the_step_after_one_that_was_found_out_works() -> None:
    with tidemark.MemoryBudget(None, check="checksums") as budget:
        with pytest.raises(tidemark.UnseenWrite), budget.step():
            a_step(through_numpy, "before an op")
        for _ in range(3):
            with budget.step():
                a_step(through_numpy, "never")

        assert budget.last_step.kind == "planned"


def test_a_source_that_a_replay_reads_is_found_too() -> None:
    """The value served was dropped, and computed again from what numpy has changed meanwhile."""
    source = torch.arange(4096.0).mul(1e-3)
    weights = [torch.full((4096,), 1.1, requires_grad=True) for _ in range(6)]

    def step(write: bool) -> None:
        x = source
        for weight in weights:
            x = torch.sigmoid(x * weight) * torch.tanh(x + weight)
        loss = x.sum()
        if write:
            through_numpy(source)
        loss.backward()
        for weight in weights:
            weight.grad = None

    with tidemark.MemoryBudget(None) as budget:
        for _ in range(3):
            with budget.step():
                step(write=False)
        graph = budget.graph
    assert graph is not None
    least = tidemark.frontier(graph, points=2).least_feasible_bytes
    memory = (least + graph.peak_bytes) // 2

    with tidemark.MemoryBudget(memory, check="checksums") as budget:
        for _ in range(4):
            with budget.step():
                step(write=False)
        assert budget.last_step.kind == "planned"
        assert budget.last_step.num_replays > 0
        with pytest.raises(tidemark.UnseenWrite), budget.step():
            step(write=True)


@pytest.mark.parametrize("name", sorted(LOOPS))
def test_nothing_is_found_in_programs_that_write_by_ops(name: str) -> None:
    stock = run(LOOPS[name], None, 4)
    with tidemark.MemoryBudget(None) as budget:
        run(LOOPS[name], budget, 3)
        graph = budget.graph
    assert graph is not None
    least = tidemark.frontier(graph, points=2).least_feasible_bytes
    memory = (least + graph.peak_bytes) // 2

    with tidemark.MemoryBudget(memory, check="checksums") as budget:
        found = run(LOOPS[name], budget, 4)

    assert_equal(found, stock)
    assert [summary.kind for summary in found.summaries[2:]] == ["planned"] * 2
    assert found.summaries[-1].num_replays > 0


def test_an_unknown_check_is_refused() -> None:
    with pytest.raises(ValueError, match="'checksums' and None"):
        tidemark.MemoryBudget(None, check="hashes")  # type: ignore[arg-type]
