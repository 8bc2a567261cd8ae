"""Steps that cannot be, or that fail half-way: a clear no, and nothing changed or left behind."""

from __future__ import annotations

import copy
import gc
from collections.abc import Iterator
from contextlib import contextmanager

import counting_allocator
import pytest
import tidemark
import torch
from counted_runs import snapshot
from torch import nn
from training_loops import LOOPS, Loop

pytestmark = pytest.mark.usefixtures("counter")

Batch = tuple[torch.Tensor, torch.Tensor]


def small(optimizer: str = "sgd") -> Loop:
    """A bit of everything, in some hundred allocations a step."""
    model = nn.Sequential(
        nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(inplace=True), nn.Dropout(0.2),
        nn.Linear(32, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 4),
    )  # fmt: skip
    parameters = list(model.parameters())
    return Loop(
        model,
        torch.optim.SGD(parameters, 0.01, momentum=0.9)
        if optimizer == "sgd"
        else torch.optim.AdamW(parameters, 0.01),
        lambda: (torch.randn(64, 8), torch.randint(0, 4, (64,))),
    )


def weights_of(loop: Loop) -> list[torch.Tensor]:
    """Parameters and optimizer state, copied into memory that nobody counts."""
    tensors = list(loop.model.parameters())
    for state in loop.optimizer.state.values():
        tensors += [value for value in state.values() if isinstance(value, torch.Tensor)]
    return [torch.from_numpy(t.detach().numpy().copy()) for t in tensors]


def same(found: list[torch.Tensor], expected: list[torch.Tensor]) -> bool:
    return len(found) == len(expected) and all(map(torch.equal, found, expected))


class Trainer:
    """Trains one step at a time and knows whether its optimizer has begun in the last one."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.begun: list[bool] = []
        begun = self.begun  # the hook holds no reference to this object: no cycle
        loop.optimizer.register_step_pre_hook(lambda *args: begun.append(True))

    def step(self, batch: Batch) -> None:
        self.begun.clear()
        loop = self.loop
        loop.optimizer.zero_grad()
        loop.loss(loop.model(batch[0]), batch[1]).backward()
        loop.optimizer.step()


def step_in(budget: tidemark.MemoryBudget, trainer: Trainer, batch: Batch) -> Exception | None:
    try:
        with budget.step():
            trainer.step(batch)
    except torch.OutOfMemoryError as error:
        return error.with_traceback(None)  # it would hold the step's tensors
    finally:
        counting_allocator.fail_after(-1)
    return None


def check_next_step(budget: tidemark.MemoryBudget, trainer: Trainer, batch: Batch) -> None:
    """Asserts that one more step works and is bitwise what stock torch makes of the same state."""
    stock = Trainer(copy.deepcopy(trainer.loop))
    random = torch.get_rng_state()
    stock.step(batch)
    expected = weights_of(stock.loop)
    del stock
    torch.set_rng_state(random)

    assert step_in(budget, trainer, batch) is None
    assert same(weights_of(trainer.loop), expected)


def memory_of(kind: str) -> int | None:
    """No limit, or three quarters of what the first step takes."""
    if kind != "watched under pressure":
        return None
    torch.manual_seed(0)
    trainer = Trainer(small())
    with tidemark.MemoryBudget(None) as budget:
        assert step_in(budget, trainer, trainer.loop.next_batch()) is None
        return budget.peak_bytes * 3 // 4


# In its first step stock AdamW cannot go on either: it leaves half of a parameter's state behind.
@pytest.mark.parametrize(
    ("kind", "optimizer", "steps_before"),
    [
        ("watched", "sgd", 0),
        ("watched", "adamw", 1),
        ("watched under pressure", "sgd", 0),
        ("planned", "adamw", 3),
    ],
)
def test_any_allocation_may_fail_and_the_next_step_works(
    kind: str, optimizer: str, steps_before: int
) -> None:
    memory = memory_of(kind)
    num_failed = num_after_optimizer_began = 0
    for count in range(10_000):
        torch.manual_seed(0)
        trainer = Trainer(small(optimizer))
        batch = trainer.loop.next_batch()
        with tidemark.MemoryBudget(memory) as budget:
            for _ in range(steps_before):
                assert step_in(budget, trainer, batch) is None
            before = weights_of(trainer.loop)
            counting_allocator.fail_after(count)
            error = step_in(budget, trainer, batch)
            if error is None:
                break
            num_failed += 1
            num_after_optimizer_began += bool(trainer.begun)
            assert "on purpose" in str(error)
            if not trainer.begun:
                assert same(weights_of(trainer.loop), before), f"allocation {count}"
            check_next_step(budget, trainer, batch)

    assert num_failed > 50
    assert num_after_optimizer_began < num_failed


def test_every_budget_that_is_too_small_says_whether_the_optimizer_had_begun() -> None:
    torch.manual_seed(0)
    first = Trainer(small())
    batch = first.loop.next_batch()
    with tidemark.MemoryBudget(None) as budget:
        assert step_in(budget, first, batch) is None
        peak = budget.peak_bytes

    had_begun = set()
    for memory in range(1000, peak, 1500):
        torch.manual_seed(0)
        trainer = Trainer(small())
        before = weights_of(trainer.loop)
        with tidemark.MemoryBudget(memory) as budget:
            error = step_in(budget, trainer, batch)
            assert counting_allocator.live() >= 0
            if error is None:
                assert budget.peak_bytes <= memory
                continue
        assert isinstance(error, tidemark.BudgetExceeded)
        assert error.missing_bytes > 0
        assert error.budget_bytes == memory
        assert f"{error.missing_bytes} B" in str(error)
        had_begun.add(error.optimizer_has_begun)
        if not error.optimizer_has_begun:
            assert same(weights_of(trainer.loop), before)
        with tidemark.MemoryBudget(None) as budget:
            check_next_step(budget, trainer, batch)

    assert False in had_begun


@contextmanager
def failing_in(where: str, loop: Loop) -> Iterator[None]:
    """Makes the user's own code raise in the middle of the forward or of the backward pass."""
    middle = list(loop.model.children())[3]

    def fail(*args: object) -> None:
        raise KeyError("the user's")

    hook = (
        middle.register_forward_pre_hook(fail)
        if where == "forward"
        else middle.register_full_backward_pre_hook(fail)
    )
    yield
    hook.remove()


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("kind", ["watched", "watched under pressure", "planned"])
def test_exceptions_of_the_user_leave_no_bytes_behind(where: str, kind: str) -> None:
    memory = memory_of(kind)
    torch.manual_seed(0)
    trainer = Trainer(small())
    batch = trainer.loop.next_batch()
    live = set()
    gc.collect()
    gc.freeze()  # what was imported would be searched a hundred times
    with tidemark.MemoryBudget(memory) as budget:
        for _ in range(3 if kind == "planned" else 0):
            trainer.step(batch) if memory else step_in(budget, trainer, batch)
        with failing_in(where, trainer.loop):
            for _ in range(100):
                trainer.loop.optimizer.zero_grad()
                with pytest.raises(KeyError, match="the user's"), budget.step():
                    trainer.step(batch)
                trainer.loop.optimizer.zero_grad()
                gc.collect()
                live.add(counting_allocator.live())
        check_next_step(budget, trainer, batch)
    gc.unfreeze()

    assert len(live) == 1


def everything_of(loop: Loop) -> list[torch.Tensor]:
    return [*snapshot(loop), *weights_of(loop)]


def test_a_variant_without_a_plan_is_refused_before_the_step_begins() -> None:
    torch.manual_seed(0)
    trainer = Trainer(LOOPS["mlp"]())
    batch = trainer.loop.next_batch()
    with tidemark.MemoryBudget(None) as budget:
        assert step_in(budget, trainer, batch) is None
        memory = budget.peak_bytes * 3 // 4

    # Watched steps give values back; a plan that keeps all cannot.
    with tidemark.MemoryBudget(memory, policy="keep_all") as budget:
        assert step_in(budget, trainer, batch) is None
        before = everything_of(trainer.loop)
        live = counting_allocator.live()
        with pytest.raises(tidemark.BudgetInfeasible) as refused, budget.step():
            raise AssertionError("the step has begun")
        assert same(everything_of(trainer.loop), before)
        assert counting_allocator.live() == live
        assert not budget.is_in_step

    no = refused.value
    parameters = sum(p.untyped_storage().nbytes() for p in trainer.loop.model.parameters())
    assert no.budget_bytes == memory < no.least_feasible_bytes
    assert no.floor_bytes <= no.least_feasible_bytes
    assert no.op.startswith("aten::")
    assert no.fixed_bytes["Parameter"] == parameters
    assert no.fixed_bytes["Gradient"] > 0
    # One momentum each; the first is written before anything tells that the optimizer has begun.
    assert no.fixed_bytes["Optstate"] + no.fixed_bytes["Buffer"] == parameters
    assert no.fixed_bytes["Optstate"] > 0.9 * parameters
    assert not no.timed_out
    for said in (no.floor_bytes, no.least_feasible_bytes, no.op, "Parameter ", "Optstate "):
        assert str(said) in str(no)
    check_next_step(tidemark.MemoryBudget(None), trainer, batch)


def test_a_smaller_batch_than_one_that_was_refused_is_tried() -> None:
    torch.manual_seed(0)
    trainer = Trainer(LOOPS["mlp"]())
    with tidemark.MemoryBudget(None) as budget:
        x, y = trainer.loop.next_batch()
        for _ in range(3):
            assert step_in(budget, trainer, (x, y)) is None
        assert budget.graph is not None
        least = tidemark.frontier(budget.graph, points=2).least_feasible_bytes
        budget.set_memory(least - 1)
        with pytest.raises(tidemark.BudgetInfeasible), budget.step():
            raise AssertionError("the step has begun")
        half = len(x) // 2
        x, y = x[:half].clone(), y[:half].clone()
        assert step_in(budget, trainer, (x, y)) is None
        assert budget.last_step.peak_bytes < least


def test_a_step_inside_a_step_leaves_the_outer_one_alone() -> None:
    torch.manual_seed(0)
    trainer = Trainer(small())
    batch = trainer.loop.next_batch()

    with tidemark.MemoryBudget(None) as budget, tidemark.MemoryBudget(None) as other:
        for _ in range(4):
            with budget.step():
                for inner in (budget, other):
                    with pytest.raises(RuntimeError, match="inside a step"), inner.step():
                        raise AssertionError("the inner step has begun")
                trainer.step(batch)
        assert budget.steps.planned == 2
        assert other.steps.planned + other.steps.watched == 0
