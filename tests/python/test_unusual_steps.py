"""Steps that are not one forward, one backward, one update: bitwise stock torch, and inside."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest
import tidemark
import torch
from counted_runs import Step, assert_equal, assert_planned, run, train
from training_loops import LOOPS, Loop

pytestmark = pytest.mark.usefixtures("counter")


def no_backward(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
    loop.named.loss = loop.loss(loop.model(x), y)


def under_no_grad(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
    with torch.no_grad():
        loop.named.loss = loop.loss(loop.model(x), y)


def two_backwards(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
    """Two updates, as a generator and its critic take turns."""
    for part in (x, x.flip(0)):
        loop.optimizer.zero_grad()
        loop.named.loss = loop.loss(loop.model(part), y)
        loop.named.loss.backward()
        loop.optimizer.step()


def four_micro_batches(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
    for part_x, part_y in zip(x.chunk(4), y.chunk(4), strict=True):
        loop.named.loss = loop.loss(loop.model(part_x), part_y) / 4
        loop.named.loss.backward()
    loop.optimizer.step()
    loop.optimizer.zero_grad()


def interleaved_micro_batches(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
    """As a pipeline has them: the second goes forward before the first goes backward."""
    waiting: list[torch.Tensor] = []
    for part_x, part_y in zip(x.chunk(4), y.chunk(4), strict=True):
        waiting.append(loop.loss(loop.model(part_x), part_y) / 4)
        if len(waiting) == 2:
            waiting.pop(0).backward()
    waiting.pop().backward()
    loop.optimizer.step()
    loop.optimizer.zero_grad()


def retain_graph(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
    loop.optimizer.zero_grad()
    loop.named.loss = loop.loss(loop.model(x), y)
    loop.named.loss.backward(retain_graph=True)
    loop.named.loss.backward()
    loop.optimizer.step()


def autograd_grad(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
    loop.named.loss = loop.loss(loop.model(x), y)
    parameters = list(loop.model.parameters())
    gradients = torch.autograd.grad(loop.named.loss, parameters)
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter -= 0.01 * gradient
    loop.named.first, loop.named.last = gradients[0], gradients[-1]


def frees_in_another_thread(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
    """As the threads of a communication library do with what they have sent."""
    sent = [torch.zeros(1 << 18) + x.sum()]
    with ThreadPoolExecutor(1) as sender:
        sender.submit(sent.clear).result()
    train(loop, x, y)


STEPS = (
    *(no_backward, under_no_grad, two_backwards),
    *(four_micro_batches, interleaved_micro_batches, retain_graph, autograd_grad),
    frees_in_another_thread,
)


@pytest.mark.parametrize("name", ["gpt", "resnet"])
@pytest.mark.parametrize("step", STEPS)
def test_an_unusual_step_is_exact_inside_and_planned(name: str, step: Step) -> None:
    make = LOOPS[name]
    stock = run(make, None, step=step)
    with tidemark.MemoryBudget(None) as budget:
        run(make, budget, 4, step)
        graph = budget.graph
    assert graph is not None
    least = tidemark.frontier(graph, points=2).least_feasible_bytes
    memory = (least + graph.peak_bytes) // 2

    with tidemark.MemoryBudget(memory) as budget:
        found = run(make, budget, step=step)

    assert_equal(found, stock)
    assert_planned(found, memory)


def keeps_a_graph_with_a_retained_gradient(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
    loop.optimizer.zero_grad()
    output = loop.model(x)
    output.retain_grad()
    loop.named.loss = loop.loss(output, y)
    loop.named.loss.backward(retain_graph=True)
    loop.optimizer.step()


@pytest.mark.parametrize("name", ["gpt", "resnet"])
def test_a_retained_gradient_lives_as_long_as_the_graph_that_saved_its_tensor(name: str) -> None:
    make = LOOPS[name]
    stock = run(make, None, step=keeps_a_graph_with_a_retained_gradient)

    with tidemark.MemoryBudget(None) as budget:
        found = run(make, budget, step=keeps_a_graph_with_a_retained_gradient)

    assert_equal(found, stock)
    assert found.counted == stock.counted
    assert_planned(found, max(stock.counted))


@pytest.mark.parametrize("writes", ["all", "a view"])
def test_what_a_node_writes_and_saves_holds_not_itself_for_a_retained_gradient(writes: str) -> None:
    def leaves_a_branch(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
        unused = loop.model(x).sin()
        unused.retain_grad()
        (unused if writes == "all" else unused[:2]).exp_()
        train(loop, x, y)

    make = LOOPS["mlp"]
    stock = run(make, None, step=leaves_a_branch)

    with tidemark.MemoryBudget(None) as budget:
        found = run(make, budget, step=leaves_a_branch)

    assert_equal(found, stock)
    assert found.counted == stock.counted


class Relay:
    """Several budgets one after the other, each closed before the next is opened."""

    def __init__(self, *memories: int | None, steps: int) -> None:
        self.memories, self.steps, self.num_steps = memories, steps, 0
        self.budget = tidemark.MemoryBudget(memories[0])

    def step(self) -> AbstractContextManager[None]:
        if self.num_steps and self.num_steps % self.steps == 0:
            self.budget.close()
            self.budget = tidemark.MemoryBudget(self.memories[self.num_steps // self.steps])
        self.num_steps += 1
        return self.budget.step()

    @property
    def last_step(self) -> tidemark.StepSummary:
        return self.budget.last_step


def test_budgets_one_after_the_other_train_as_none() -> None:
    make = LOOPS["gpt"]
    stock = run(make, None, 12)
    with tidemark.MemoryBudget(None) as budget:
        run(make, budget, 4)
        graph = budget.graph
    assert graph is not None
    least = tidemark.frontier(graph, points=2).least_feasible_bytes
    memory = (least + graph.peak_bytes) // 2

    relay = Relay(None, memory, 2 * graph.peak_bytes, steps=4)
    found = run(make, relay, 12)
    relay.budget.close()

    assert_equal(found, stock)
    assert max(found.counted[4:8]) <= memory
    for summary, counted in zip(found.summaries, found.counted, strict=True):
        if summary.kind == "planned":
            assert summary.peak_bytes == summary.promised_bytes == counted
    assert [summary.kind for summary in found.summaries[6:8]] == ["planned"] * 2
    assert found.summaries[7].num_replays > 0
    assert found.summaries[11].kind == "planned"
    assert found.summaries[11].num_replays == 0
