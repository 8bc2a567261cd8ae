"""Steps served from an arena leave the bits that stock torch leaves, at the addresses planned."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from typing import Any

import pytest
import tidemark
import torch
from arena_loops import (
    FIRST_SERVED,
    STEPS,
    Loop,
    Step,
    assert_same,
    make,
    plain,
    resident_bytes,
    run,
    run_both,
)

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


# ---- memory


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


def odd(loop: Loop) -> torch.Tensor:
    """Many activations that alignment makes larger: without them the arena is not worth much."""
    values = loop.model[0](torch.ones(16, 32)).flatten()
    values = torch.cat([values, torch.ones(1)])
    for _ in range(100):
        values = values.sin()
    return values.sum()


def leaves_its_gradients(loop: Loop) -> None:
    loop.optimizer.zero_grad()
    (loop.forward(512).square().mean() + odd(loop)).backward()
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


def test_what_unserved_steps_left_elsewhere_needs_no_room_twice_either() -> None:
    """Unserved while something big lives, and served when that has gone for a while."""
    stock, graph = run(leaves_its_gradients, None, 16), graph_of(leaves_its_gradients)
    gradients = sum(p.nbytes for p in make().model.parameters())
    why_not: list[str] = []
    ballast: list[torch.Tensor] = []

    def step(loop: Loop) -> None:
        if loop.step == 8:
            ballast.clear()
        why_not.append(budget.arena.why_not)
        leaves_its_gradients(loop)

    memory = graph.peak_bytes + gradients // 2
    with tidemark.MemoryBudget(memory, arena="poison", policy="keep_all") as budget:
        ballast.append(torch.ones(gradients // 8 - 16))  # of four bytes each: little is left
        assert_same(run(step, budget, 16), stock)
        summary = budget.arena
    assert "above the budget" in why_not[FIRST_SERVED + 1]
    assert len(set(why_not[FIRST_SERVED + 1 : 9])) == 1
    assert set(why_not[12:]) == {""}
    assert summary.num_fallen_back == 0


def cheap_to_drop(loop: Loop) -> None:
    """A few of its many activations are enough to make room, for next to no time."""
    loop.train(loop.forward(512).square().mean() + odd(loop))


@pytest.mark.parametrize(
    "program", [wide, keeps_its_output, cheap_to_drop], ids=lambda step: step.__name__
)
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
    if program is cheap_to_drop:
        assert num_made_anew > 0


BY_ITSELF = """
import tidemark
from test_arena import cheap_to_drop, graph_of, run

memory = graph_of(cheap_to_drop).peak_bytes
with tidemark.MemoryBudget(memory) as budget:
    run(cheap_to_drop, budget, 16)
    print(budget.arena.why_not, budget.arena.num_served, budget.plan.budget_bytes < memory)
"""


def test_auto_plans_anew_for_the_arena_where_that_costs_next_to_nothing() -> None:
    # In a process of its own: another allocator may be installed in this one.
    done = subprocess.run(
        [sys.executable, "-c", BY_ITSELF],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    why_not, num_served, is_made_anew = done.stdout.strip("\n").rsplit(" ", 2)
    assert why_not == ""
    assert int(num_served) > 0
    assert is_made_anew == "True"


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
