"""MemoryBudget: holds the steps of a training loop to a number of bytes."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch

from tidemark import _runtime
from tidemark.arena import ArenaSummary, ArenaUse, check_use, packing_of
from tidemark.budget_exceeded import BudgetExceeded
from tidemark.bytes import parse_bytes
from tidemark.errors import UnseenWrite
from tidemark.graph import StepGraph
from tidemark.packing import Packing
from tidemark.places import PlaceTracker
from tidemark.plan import Plan, check_repeatable, policies
from tidemark.report import Report, StepCounts, make_report

_runtime.require()  # so that importing this fails with an explanation

_UNLIMITED = 2**63 - 1

Trackable: TypeAlias = torch.Tensor | torch.nn.Module | torch.optim.Optimizer


@dataclass(frozen=True, kw_only=True, slots=True)
class StepSummary:
    """What is known of a step that has ended."""

    kind: str
    """watched, planned, adapted or diverged."""
    peak_bytes: int
    """The largest number of live bytes in it."""
    promised_bytes: int | None
    """What the plan that was followed promised; None in watched steps."""
    num_replays: int
    """Ops that ran again."""
    tape_bytes: int
    """What the runtime itself held in its own memory (not tensors)."""
    difference: str
    """The first difference from the plan, empty if none."""


class MemoryBudget:
    """Holds training steps to `memory`, with the numbers they had before.

    The first steps are watched (and already held to the budget); from the third on a plain loop is
    planned: what the plan says is dropped and computed again, bitwise, and the peak is the promised
    peak. While a budget is open the CPU allocator is Tidemark's, in front of the one it found.

    Args:
        memory: bytes of every tensor of the step (weights, gradients, optimizer state,
            activations, workspace): an int, "6 GiB", "6 GB", "80%" or "auto" (of the machine's
            memory); None watches and plans without a limit.
        plan: a plan made elsewhere, followed until the steps' own forms are known.
        policy: how to plan; one of `tidemark.policies()` but "exact", whose plans come as `plan`.
        time_limit: seconds for one plan.
        track: modules, optimizers or tensors whose storages count from the start, not only from
            the first touch.
        arena: whether the tensors of planned steps lie at planned addresses in one block of
            memory. "auto": unless somebody else has installed an allocator, and a plan that leaves
            no room for the block is made anew where that costs at most 1 % of the step; "on": also
            then, and whatever it costs; "off": never; "poison": as "on", and memory is overwritten
            when it is freed, to find its readers (every block is made twice, so that an allocator
            of somebody else's still sees all of them). The numbers are the same in all of them.
        check: "checksums" finds writes that nobody sees (numpy or DLPack views, raw pointers) and
            raises `UnseenWrite`; every step is several times slower. None trusts the program.

    Raises:
        ValueError: `memory` is not a size, or the policy, the arena or the check is unknown.
        ImportError: the torch half does not work here; the text says why.
        NotSupported: this torch does otherwise than the runtime expects; the text says what.

    Example:
        >>> import tidemark, torch
        >>> model = torch.nn.Linear(8, 8)
        >>> with tidemark.MemoryBudget("1 GiB") as budget:
        ...     for _ in range(4):
        ...         with budget.step():
        ...             loss = model(torch.ones(2, 8)).sum()
        ...             loss.backward()
        ...             model.zero_grad()
        >>> budget.steps.planned > 0
        True
    """

    def __init__(
        self,
        memory: int | str | None,
        *,
        plan: Plan | None = None,
        policy: str = "auto",
        time_limit: float = 10.0,
        track: Iterable[Trackable] | Trackable = (),
        arena: ArenaUse = "auto",
        check: Literal["checksums"] | None = None,
    ) -> None:
        check_repeatable(policy)
        if policy not in policies():
            raise ValueError(f"unknown policy {policy!r}; there are {', '.join(policies())}")
        if check not in (None, "checksums"):
            raise ValueError(f"unknown check {check!r}; there are 'checksums' and None")
        check_use(arena)
        self._memory_bytes = _parse(memory)
        gc.collect()  # what earlier budgets' steps left in reference cycles would count
        self._tracker = PlaceTracker()
        self._runtime: Any = _runtime.require_sound().MemoryBudget(
            self._memory_bytes,
            policy,
            time_limit,
            plan.to_json() if plan is not None else None,
            list(_tensors(track)),
            check is not None,
            arena,
        )
        self._runtime.set_place_finder(self._tracker.find)

    @contextmanager
    def step(self) -> Iterator[None]:
        """One training step: everything between entering and leaving.

        Raises:
            BudgetInfeasible: at entry, before anything has run: no plan fits the budget.
            BudgetExceeded: a watched step needed more and nothing was left to give back.
            UnseenWrite: the check was asked for, and memory has changed that no op wrote.
            RuntimeError: inside another step.
        """
        self._runtime.enter()
        try:
            if self._runtime.is_watching:
                with self._tracker:
                    yield
            else:
                yield
        except BaseException as error:
            self._runtime.leave(True)
            why = self._runtime.exceeded
            if why is not None and isinstance(error, torch.OutOfMemoryError):
                raise _exceeded(why) from error
            if self._runtime.unseen_write:
                raise UnseenWrite(self._runtime.unseen_write) from error
            raise
        self._runtime.leave(False)

    def set_memory(self, memory: int | str | None) -> None:
        """Holds the steps from the next one on to another number of bytes, less or more.

        Every known form of the step is planned anew, so nothing is watched for it; a budget that is
        too small is refused at the next `step`.

        Raises:
            ValueError: `memory` is not a size.
            RuntimeError: within a step.
        """
        memory_bytes = _parse(memory)
        self._runtime.set_memory(memory_bytes)
        self._memory_bytes = memory_bytes

    def close(self) -> None:
        """Gives the allocator back. Steps are errors from then on; figures stay readable."""
        self._runtime.close()

    def __enter__(self) -> MemoryBudget:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def memory_bytes(self) -> int:
        """The budget; a number beyond any machine's if there is no limit."""
        return self._memory_bytes

    @property
    def is_in_step(self) -> bool:
        """Whether a step of this budget is running."""
        return bool(self._runtime.is_in_step)

    @property
    def steps(self) -> StepCounts:
        """How many steps were watched, planned, adapted and diverged."""
        return StepCounts(**self._runtime.counts)

    @property
    def last_step(self) -> StepSummary:
        """The step that ended last."""
        return StepSummary(**self._runtime.last_step)

    @property
    def peak_bytes(self) -> int:
        """The largest number of live bytes in any step so far."""
        return int(self._runtime.peak_bytes)

    @property
    def plan_seconds(self) -> float:
        """How long the last planning took."""
        return float(self._runtime.plan_seconds)

    @property
    def num_variants(self) -> int:
        """Recorded forms of the step; each was planned once."""
        return int(self._runtime.num_variants)

    @property
    def num_cache_hits(self) -> int:
        """Steps that began like a recorded one."""
        return int(self._runtime.num_cache_hits)

    @property
    def arena(self) -> ArenaSummary:
        """What was served from planned addresses."""
        return ArenaSummary(**self._runtime.arena)

    @property
    def layout(self) -> Packing | None:
        """Where the tensors of the form used last lie; None until two planned steps were seen.

        Time counts the allocations and frees of a step, from where the fewest bytes live; of two
        steps, where what one leaves to the next lies by turns at one of two addresses.
        """
        return packing_of(self._runtime.layout)

    @property
    def graph(self) -> StepGraph | None:
        """The step as recorded, of the form used last."""
        text = self._runtime.graph_json
        return None if text is None else StepGraph.from_json(text)

    @property
    def plan(self) -> Plan | None:
        """The plan of the form used last."""
        text = self._runtime.plan_json
        return None if text is None else Plan.from_json(text)

    def report(self) -> Report:
        """What fits, how slow, how sure, what is at the peak and what lies in the arena.

        Raises:
            ValueError: no step has come to its end yet.
        """
        graph, plan = self.graph, self.plan
        if graph is None or plan is None:
            raise ValueError("nothing to report: no step under this budget has come to its end yet")
        return make_report(
            *(graph, plan),
            steps=self.steps,
            measured_peak_bytes=self.peak_bytes,
            arena=self.arena,
        )

    def __repr__(self) -> str:
        return f"MemoryBudget({self.memory_bytes} B, {self.steps})"


def _parse(memory: int | str | None) -> int:
    if memory is None:
        return _UNLIMITED
    device = None
    if isinstance(memory, str) and (memory.strip() == "auto" or memory.strip().endswith("%")):
        device = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return parse_bytes(memory, device_bytes=device)


def _tensors(track: Iterable[Trackable] | Trackable) -> Iterator[torch.Tensor]:
    if isinstance(track, torch.Tensor):
        yield track
    elif isinstance(track, torch.nn.Module):
        yield from track.parameters()
        yield from track.buffers()
    elif isinstance(track, torch.optim.Optimizer):
        for state in track.state.values():
            yield from (value for value in state.values() if isinstance(value, torch.Tensor))
    else:
        for item in track:
            yield from _tensors(item)


def _exceeded(why: dict[str, Any]) -> BudgetExceeded:
    return BudgetExceeded(
        why["text"],
        missing_bytes=why["missing_bytes"],
        budget_bytes=why["budget_bytes"],
        op=why["op"],
        optimizer_has_begun=why["optimizer_had_begun"],
    )
