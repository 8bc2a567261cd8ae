"""Steps served from an arena leave the bits that stock torch leaves, whatever the program does."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import tidemark
import torch
from torch import nn

STEPS = 12

FIRST_SERVED = 4
"""Two steps are watched, and two show what the step allocates."""

Bits = list[np.ndarray]


@dataclass
class Loop:
    """A small training loop whose steps may do something else now and then."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    kept: list[Any] = field(default_factory=list)
    pointers: list[int] = field(default_factory=list)
    """Where the first activation lay."""
    keeps_gradients: bool = False

    def forward(self, batch: int = 16) -> torch.Tensor:
        x = torch.full((batch, 32), 0.5 + self.step / 8)
        hidden = self.model[0](x)
        self.pointers.append(hidden.data_ptr())
        return self.model[1:](hidden)

    def train(self, loss: torch.Tensor) -> None:
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def make() -> Loop:
    torch.manual_seed(0)
    layers = (nn.Linear(32, 64), nn.ReLU(), nn.Dropout(0.25), nn.Linear(64, 64), nn.Tanh())
    model = nn.Sequential(*layers, nn.Linear(64, 8))
    return Loop(model, torch.optim.AdamW(model.parameters(), lr=1e-2))


Step = Callable[[Loop], object]


def plain(loop: Loop) -> None:
    loop.train(loop.forward().square().mean())


def bits_of(loop: Loop) -> Bits:
    tensors = [torch.get_rng_state(), *loop.model.parameters()]
    for state in loop.optimizer.state.values():
        tensors += [value for value in state.values() if isinstance(value, torch.Tensor)]
    tensors += [kept for kept in loop.kept if isinstance(kept, torch.Tensor)]
    arrays = [kept for kept in loop.kept if isinstance(kept, np.ndarray)]
    return [t.detach().numpy().copy() for t in tensors] + [a.copy() for a in arrays]


def run(step: Step, budget: tidemark.MemoryBudget | None, steps: int = STEPS) -> list[Bits]:
    """Returns what is left after each step."""
    gc.collect()
    loop, left = make(), []
    for loop.step in range(steps):
        try:
            if budget is None:
                step(loop)
            else:
                with budget.step():
                    step(loop)
        except ArithmeticError:
            loop.optimizer.zero_grad()
        left.append(bits_of(loop))
    return left


def assert_same(found: list[Bits], expected: list[Bits]) -> None:
    for step, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert len(a) == len(b)
        assert all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a, b, strict=True)), step


def run_both(step: Step, arena: Any = "poison") -> tidemark.MemoryBudget:
    """Runs a loop with and without a budget; returns the budget, closed."""
    stock = run(step, None)
    with tidemark.MemoryBudget(None, arena=arena) as budget:
        assert_same(run(step, budget), stock)
    return budget


# ---- what is served


@pytest.mark.parametrize("arena", ["on", "poison"])
def test_a_loop_that_repeats_itself_is_served_and_the_same(arena: Any) -> None:
    budget = run_both(plain, arena)
    summary = budget.arena
    assert summary.why_not == ""
    assert summary.num_fallen_back == 0
    assert summary.num_mappings == 1
    assert summary.num_served % (STEPS - FIRST_SERVED) == 0
    assert summary.num_served > 50 * (STEPS - FIRST_SERVED)
    assert summary.height == summary.lower_bound > 0


def wide(loop: Loop) -> None:
    loop.train(loop.forward(512).square().mean())


def graph_of(step: Step) -> tidemark.StepGraph:
    with tidemark.MemoryBudget(None, arena="off") as budget:
        run(step, budget, 4)
        graph = budget.graph
    assert graph is not None
    return graph


def test_a_loop_of_drops_and_replays_is_served_and_the_same() -> None:
    stock, graph = run(wide, None), graph_of(wide)
    memory = (tidemark.frontier(graph, points=2).least_feasible_bytes + graph.peak_bytes) // 2
    with tidemark.MemoryBudget(memory, arena="poison") as budget:
        assert_same(run(wide, budget), stock)
        assert budget.last_step.num_replays > 0
        assert budget.last_step.peak_bytes == budget.last_step.promised_bytes
        assert budget.arena.num_served > 0
        assert budget.arena.num_fallen_back == 0


def test_addresses_are_the_same_in_all_served_steps() -> None:
    loops = []

    def step(loop: Loop) -> None:
        plain(loop)
        loops.append(loop)

    with tidemark.MemoryBudget(None, arena="on") as budget:
        run(step, budget, 54)
    pointers = loops[0].pointers[FIRST_SERVED:]
    assert len(pointers) == 50
    assert len(set(pointers)) == 1


def test_every_allocation_that_does_not_outlive_the_step_is_served(counter: None) -> None:
    import counting_allocator

    outside: list[int] = []

    def step(loop: Loop) -> None:
        before = counting_allocator.live()
        counting_allocator.reset_peak()
        plain(loop)
        outside.append(counting_allocator.peak() - before)

    with tidemark.MemoryBudget(None, arena="on") as budget:
        run(step, budget)
    assert min(outside[:FIRST_SERVED]) > 0
    assert max(outside[FIRST_SERVED:]) == 0


def test_gradients_of_the_last_step_lie_in_the_arena() -> None:
    def step(loop: Loop) -> None:
        loop.optimizer.zero_grad()
        loop.forward().square().mean().backward()
        loop.optimizer.step()

    budget = run_both(step)
    assert budget.arena.num_fallen_back == 0
    assert budget.arena.num_mappings == 1
    gradients = sum(p.nbytes for p in make().model.parameters())
    assert budget.arena.height > gradients


def test_forms_that_take_turns_have_an_arena_each() -> None:
    def step(loop: Loop) -> None:
        if loop.step % 20 < 10:
            plain(loop)
        else:
            with torch.no_grad():
                loop.kept = [loop.forward(48).clone()]

    stock = run(step, None, 60)
    with tidemark.MemoryBudget(None, arena="poison") as budget:
        assert_same(run(step, budget, 60), stock)
    assert budget.arena.num_mappings > 1


def test_threads_beside_the_step_are_left_alone() -> None:
    def step(loop: Loop) -> None:
        made: list[torch.Tensor] = []
        load = threading.Thread(target=lambda: made.extend(torch.ones(999) for _ in range(200)))
        load.start()
        plain(loop)
        load.join()
        assert all(tensor.sum() == 999 for tensor in made)

    budget = run_both(step)
    assert budget.arena.num_served > 0


def test_a_thread_of_the_user_may_run_backward() -> None:
    def step(loop: Loop) -> None:
        loss = loop.forward().square().mean()
        backward = threading.Thread(target=loss.backward)
        backward.start()
        backward.join()
        loop.optimizer.step()
        loop.optimizer.zero_grad()

    assert run_both(step).arena.num_fallen_back == 0


# ---- never wrong


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


# ---- memory


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def big(loop: Loop) -> None:
    scratch = torch.ones(16 << 20)
    loop.train(loop.forward().square().mean() * scratch.mean())


def test_closing_the_budget_gives_its_memory_back() -> None:
    budget = tidemark.MemoryBudget(None, arena="on")
    run(big, budget)
    height = budget.arena.height
    before = resident_bytes()
    budget.close()
    assert height >= 64 << 20
    assert before - resident_bytes() > 0.9 * height


def test_a_step_of_another_form_gives_the_memory_back() -> None:
    used: list[int] = []

    def step(loop: Loop) -> None:
        if loop.step == 8:
            used.append(resident_bytes())
            loop.train(loop.forward(24).square().mean())
            used.append(resident_bytes())
        else:
            big(loop)

    stock = run(step, None, 10)
    used.clear()
    with tidemark.MemoryBudget(40 << 30, arena="on") as budget:
        assert_same(run(step, budget, 10), stock)
    assert used[0] - used[1] > 60 << 20


def keeps_its_output(loop: Loop) -> None:
    """The last output lives until there is another, as `logits` in a plain loop does."""
    output = loop.forward(512)
    loop.kept = [output.detach()]
    loop.train(output.square().mean())


def test_what_the_next_step_replaces_lies_at_two_addresses_where_room_is_scarce() -> None:
    outputs: list[int] = []

    def step(loop: Loop) -> None:
        keeps_its_output(loop)
        outputs.append(loop.kept[0].data_ptr())

    stock, graph = run(keeps_its_output, None), graph_of(keeps_its_output)
    output_bytes = 512 * 8 * 4
    with tidemark.MemoryBudget(graph.peak_bytes + output_bytes // 2, arena="poison") as budget:
        assert_same(run(step, budget), stock)
        assert budget.arena.why_not == ""
        assert budget.arena.num_fallen_back == 0
        assert budget.last_step.num_replays == 0
        assert budget.plan.budget_bytes == budget.memory_bytes  # not made anew for the arena
    assert len(set(outputs[FIRST_SERVED:])) == 2
    assert outputs[FIRST_SERVED:-2] == outputs[FIRST_SERVED + 2 :]


def leaves_its_gradients(loop: Loop) -> None:
    loop.optimizer.zero_grad()
    loop.forward(512).square().mean().backward()
    if loop.step == FIRST_SERVED - 1 and loop.keeps_gradients:
        loop.kept = [p.grad[:1] for p in loop.model.parameters()]
    loop.optimizer.step()


@pytest.mark.parametrize("keeps_gradients", [False, True])
def test_what_the_last_step_left_elsewhere_needs_no_room_twice(keeps_gradients: bool) -> None:
    def step(loop: Loop) -> None:
        loop.keeps_gradients = keeps_gradients
        leaves_its_gradients(loop)

    stock, graph = run(step, None), graph_of(leaves_its_gradients)
    gradients = sum(p.nbytes for p in make().model.parameters())
    kept = gradients if keeps_gradients else 0
    memory = graph.peak_bytes + kept + gradients // 2
    with tidemark.MemoryBudget(memory, arena="poison") as budget:
        assert_same(run(step, budget), stock)
        summary = budget.arena
    assert summary.num_served > 0
    if keeps_gradients:
        assert summary.num_fallen_back > 0
    else:
        assert summary.num_served % (STEPS - FIRST_SERVED) == 0
        assert summary.why_not == ""
        assert summary.height > gradients


@pytest.mark.parametrize("program", [wide, keeps_its_output], ids=lambda step: step.__name__)
def test_the_arena_and_all_outside_it_are_within_the_budget(counter: None, program: Step) -> None:
    import counting_allocator

    gc.collect()
    stock, graph = run(program, None), graph_of(program)
    least = tidemark.frontier(graph, points=2).least_feasible_bytes
    num_served, num_made_anew = 0, 0
    stride = (graph.peak_bytes - least) // 8
    for memory in range(least + 2 * stride, graph.peak_bytes + 2 * stride, stride):
        outside: list[int] = []
        before = counting_allocator.live()

        def step(loop: Loop) -> None:
            counting_allocator.reset_peak()
            program(loop)
            outside.append(counting_allocator.peak() - before)  # noqa: B023 - run at once

        with tidemark.MemoryBudget(memory, arena="on") as budget:
            assert_same(run(step, budget), stock)
            summary = budget.arena
        num_served += summary.num_served
        if summary.why_not == "":
            assert outside[-1] + summary.height <= memory
            num_made_anew += budget.plan.budget_bytes < memory
        elif "learned" not in summary.why_not:
            assert "above the budget" in summary.why_not
        assert max(outside) <= memory
    assert num_served > 0
    assert num_made_anew > 0


# ---- what is said


def test_auto_leaves_the_blocks_to_an_allocator_of_somebody_else(counter: None) -> None:
    with tidemark.MemoryBudget(None) as budget:
        run(plain, budget, 6)
    assert budget.arena.num_served == 0
    assert budget.arena.why_not == "another allocator than torch's is installed"


def test_off_is_off_and_says_so() -> None:
    with tidemark.MemoryBudget(None, arena="off") as budget:
        run(plain, budget, 6)
    assert budget.arena.num_served == 0
    assert budget.arena.why_not == "arenas are off"
    assert budget.layout is None


def test_another_word_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown arena 'maybe'; there are 'auto', 'on', 'off'"):
        tidemark.MemoryBudget(None, arena="maybe")  # type: ignore[arg-type]


def test_the_layout_of_a_real_step_is_a_picture() -> None:
    with tidemark.MemoryBudget(None, arena="on") as budget:
        run(plain, budget, 6)
        layout = budget.layout
    assert layout is not None
    assert layout.status == "optimal"
    assert layout.height == budget.arena.height
    assert layout.to_svg().count("<rect") >= len(layout.buffers)


def test_the_profiler_sees_every_block(counter: None) -> None:
    def profiled(arena: Any) -> list[int]:
        sizes: list[int] = []

        def step(loop: Loop) -> None:
            with torch.profiler.profile(profile_memory=True) as profile:
                plain(loop)
            sizes.append(sum(event.self_cpu_memory_usage for event in profile.key_averages()))

        with tidemark.MemoryBudget(None, arena=arena) as budget:
            run(step, budget, 7)
        return sizes

    assert profiled("on")[-1] == profiled("off")[-1]
