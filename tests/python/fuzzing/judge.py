"""Runs a program with and without a budget and says what differs."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import counting_allocator
import tidemark
import torch
from compatibility.harness import bits, named_bits
from counted_runs import Run, run
from tidemark.arena import ArenaSummary
from torch.autograd.graph import saved_tensors_hooks
from training_loops import Loop

from fuzzing.switches import PLAIN, Switches, switches_of

STEPS = 6

DEFAULTS = {"ARENA": "poison", "INPLACE": False, "IN_BACKWARD": False, "BY_LAYER": False}
"""How programs run that say nothing of it."""


class Difference(AssertionError):  # noqa: N818 - what was found, not what went wrong
    """A program does not do under a budget what it does without one."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind, self.text = kind, text


def same(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def state_of(loop: Loop) -> dict[str, object]:
    """Everything that must be bitwise the same, by name."""
    state: dict[str, object] = {"generator": bits(torch.get_rng_state())}
    # By parameter: the order in which updates begin is no part of what they leave.
    optimizer = loop.optimizer.state_dict()
    things = {"model": loop.model, "optimizer": optimizer, "named": vars(loop.named)}
    for name, thing in things.items():
        state.update(named_bits(name, thing))
    return state


@dataclass
class Verdict:
    """What is known of a program that is as it should be."""

    is_dynamic: bool
    kinds: list[str]
    """What its steps under the budget were."""
    error: str
    """What ended it in stock torch, which must end it under a budget as well; empty if nothing."""
    refusal: str
    """Why the budget ended it, if it did."""
    num_replays: int = 0
    num_served: int = 0
    """Allocations from an arena."""
    switches: Switches = field(default_factory=Switches)


@dataclass
class Attempt:
    """A run, and what ended it before its last step."""

    seen: Run
    live: list[int]
    """Bytes after each step."""
    error: Exception | None = None

    @property
    def error_name(self) -> str:
        return type(self.error).__name__ if self.error else ""


def attempt(
    program: Mapping[str, Any],
    budget: tidemark.MemoryBudget | None,
    switches: Switches = PLAIN,
    *,
    with_hooks: bool = False,
) -> Attempt:
    """Runs the program until its end or its first error; `with_hooks`: torch's, that do nothing."""

    def step(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
        with saved_tensors_hooks(same, same) if with_hooks else nullcontext():
            program["step"](loop, x, y)
        gc.collect()  # what lies in cycles dies at the same place in every run
        live.append(counting_allocator.live())

    seen, live = Run(), list[int]()
    gc.disable()
    try:
        with ExitStack() as undo:
            run(lambda: switches.make(program, undo), budget, STEPS, step, state_of, seen)
    except Exception as error:
        return Attempt(seen, live, error)
    finally:
        gc.enable()
    return Attempt(seen, live)


def judge(program: Mapping[str, Any]) -> Verdict:
    """Compares the program's runs.

    Raises:
        Difference: they are not bitwise the same, or one is not inside, or not as promised.
    """
    torch.set_num_threads(1)
    counting_allocator.install()
    program = DEFAULTS | dict(program)
    stock = attempt(program, None)
    switches = switches_of(program)
    if switches != PLAIN:
        plain, stock = stock, attempt(program, None, switches)
        if refuses(stock):
            check_states("switched", stock, plain, switches)
            return Verdict(program["IS_DYNAMIC"], [], "", type(stock.error).__name__)
        check_same("switched", stock, plain, switches)
    try:
        return judge_against(program, switches, stock)
    except Difference as difference:
        if difference.kind in ("watching", "promise") and hooks_add_work(program, switches, stock):
            return Verdict(True, [], "work added by torch's hooks", "")
        raise


def refuses(switched: Attempt) -> bool:
    """Whether the step says that it cannot be updated in backward: more than one may reach it."""
    return isinstance(switched.error, tidemark.NotSupported)


def judge_against(program: Mapping[str, Any], switches: Switches, stock: Attempt) -> Verdict:
    arena = "off" if program["ARENA"] == "off" else "poison"  # whose blocks can be counted
    with tidemark.MemoryBudget(None, arena=arena) as budget:
        kept = attempt(program, budget, switches)
        graph, num_served = budget.graph, budget.arena.num_served
    check_same("without a limit", kept, stock)
    if leaks(stock):
        return Verdict(True, [], "leak of torch itself", "")
    # Autograd keeps a saved tensor itself, and with it its .grad; a handle keeps its storage.
    if any(a > b for a, b in zip(kept.seen.counted, stock.seen.counted, strict=True)):
        raise Difference("watching", f"peaks {kept.seen.counted}, in stock {stock.seen.counted}")
    check_steps("without a limit", kept, program["IS_DYNAMIC"])
    if graph is None or stock.error:
        kinds = [s.kind for s in kept.seen.summaries]
        return Verdict(program["IS_DYNAMIC"], kinds, stock.error_name, "", 0, num_served, switches)
    verdict = judge_budget(program, switches, stock, graph)
    return replace(verdict, num_served=verdict.num_served + num_served)


def leaks(stock: Attempt) -> bool:
    """Whether every step leaves more behind, as in-place writes that autograd forgives do."""
    return len(stock.live) == STEPS and all(a < b for a, b in itertools.pairwise(stock.live[1:]))


def hooks_add_work(program: Mapping[str, Any], switches: Switches, stock: Attempt) -> bool:
    """Whether any hooks for saved tensors change the program's peaks, even those that do nothing.

    A view made under no_grad of what requires grad comes out of them as a leaf: torch makes it a
    gradient, which nobody asks for. A step whose plan drops nothing needs no hooks and does not.
    """
    hooked = attempt(program, None, switches, with_hooks=True)
    return hooked.seen.counted != stock.seen.counted


def judge_budget(
    program: Mapping[str, Any], switches: Switches, stock: Attempt, graph: tidemark.StepGraph
) -> Verdict:
    """Runs the program under the budget, the policy and the arena that it names."""
    policy, arena = program["POLICY"], program["ARENA"]
    least = tidemark.frontier(graph, points=2, policy=policy).least_feasible_bytes
    unplanned = max(stock.seen.counted)  # of steps that differ from each other, the largest
    memory = int(least + program["SHARE"] * (unplanned - least))
    plan = prior(graph, memory, policy) if program["HAS_PRIOR"] else None
    with tidemark.MemoryBudget(memory, plan=plan, policy=policy, arena=arena) as budget:
        held = attempt(program, budget, switches)
        summary = budget.arena
    check_held(program, held, stock, memory, summary)
    kinds = [s.kind for s in held.seen.summaries]
    num_replays = sum(s.num_replays for s in held.seen.summaries)
    return Verdict(
        program["IS_DYNAMIC"], kinds, "", held.error_name, num_replays, summary.num_served, switches
    )


def check_held(
    program: Mapping[str, Any], held: Attempt, stock: Attempt, memory: int, arena: ArenaSummary
) -> None:
    """It must be as without a budget, and inside, or refused with all as it was before."""
    where = f"under {memory} B"
    is_hidden = program["ARENA"] == "on"  # what lies in an arena is not counted outside of it
    if max(held.seen.counted) > memory:
        raise Difference("outside", f"{where} the peaks were {held.seen.counted}")
    if isinstance(held.error, (tidemark.BudgetExceeded, tidemark.BudgetInfeasible)):
        check_states(where, held, stock)
        if isinstance(held.error, tidemark.BudgetInfeasible):
            check_steps(where, held, is_dynamic=True, is_hidden=is_hidden)
        return
    check_same(where, held, stock)
    check_steps(where, held, program["IS_DYNAMIC"], is_hidden)
    # The first step of an arena leaves room for what the last one left outside, and a step that
    # differs from the one that was packed gives free pages back: of both, the height says nothing.
    counted, summaries = held.seen.counted, held.seen.summaries
    is_first = len(counted) < 2 or counted[-2] == summaries[-2].peak_bytes
    is_served = is_hidden and not is_first and not arena.why_not and arena.num_fallen_back == 0
    if is_served and not program["IS_DYNAMIC"] and counted[-1] + arena.height > memory:
        text = f"{where}: {counted[-1]} B outside an arena of {arena.height} B"
        raise Difference("arena outside", text)


def prior(graph: tidemark.StepGraph, memory: int, policy: str) -> tidemark.Plan | None:
    """Plans before the first step; some policies need more than the least feasible budget."""
    try:
        return tidemark.plan(graph, memory, policy=policy)
    except tidemark.BudgetInfeasible:
        return None


def check_same(where: str, found: Attempt, stock: Attempt, switches: Switches = PLAIN) -> None:
    """Everything that stock torch left behind, and how it ended, must be the same."""
    if found.error_name != stock.error_name:
        if found.error:
            raise Difference("error", f"{where}: {found.error!r}") from found.error
        raise Difference("no error", f"{where} nothing was raised, but in stock: {stock.error!r}")
    if len(found.seen.state) != len(stock.seen.state):
        raise Difference("error", f"{where} it ended after another step: {found.error!r}")
    check_states(where, found, stock, switches)


def check_states(where: str, found: Attempt, stock: Attempt, switches: Switches = PLAIN) -> None:
    """Compares what the steps left behind, as far as both came.

    `switches`: what one has on and the other has not; updates in backward leave no gradients.
    """
    for i, (a, b) in enumerate(zip(found.seen.state, stock.seen.state, strict=False)):
        names = sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))
        if switches.in_backward:
            names = [name for name in names if not name.startswith("model gradient")]
        if names:
            raise Difference("state", f"{where}, step {i}: {', '.join(names)}")


def check_steps(where: str, found: Attempt, is_dynamic: bool, is_hidden: bool = False) -> None:
    """Planned steps must need what was promised, and steps that repeat must be planned.

    `is_hidden`: the tests' own counter does not see all; what the runtime has counted is taken.
    """
    steps = list(zip(found.seen.summaries, found.seen.counted, strict=False))
    for i, (step, counted) in enumerate(steps):
        # A step that ends early has done nothing unplanned, and may stay below the promise.
        promised = step.promised_bytes or 0
        peak = step.peak_bytes if is_hidden else counted
        is_kept = promised == peak or (is_dynamic and promised > peak)
        if step.kind == "planned" and not (is_kept and step.peak_bytes == peak):
            raise Difference("promise", f"{where}, step {i}: {step}, counted {counted}")
    kinds = [step.kind for step, _ in steps]
    if not is_dynamic and not found.error and kinds[-2:] != ["planned"] * 2:
        raise Difference("unplanned", f"{where}: {[(s.kind, s.difference) for s, _ in steps]}")
