"""record and estimate: a step as data, before it has to fit anywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tidemark.bytes import format_bytes, parse_bytes
from tidemark.errors import NotSupported
from tidemark.graph import StepGraph
from tidemark.memory_budget import MemoryBudget
from tidemark.plan import Plan, plan

_MAX_STEPS = 5


def record(
    fn: Callable[..., object],
    *args: object,
    device: str | None = None,
    memory: int | str | None = None,
) -> StepGraph:
    """Runs `fn(*args)`, one training step, until its form repeats, and returns it as data.

    The first step of a loop is not like the others (optimizer state appears), so `fn` runs up to
    five times, normally three; it really trains.

    Args:
        fn: runs one whole step: forward, backward, optimizer.
        args: passed to `fn`.
        device: estimate on fake tensors of that device instead of running.
        memory: hold the recorded steps to a budget meanwhile, as `MemoryBudget` does.

    Raises:
        NotSupported: `device` is given: fake tensors are not recorded yet.

    Example:
        >>> import tidemark, torch
        >>> model = torch.nn.Linear(4, 4)
        >>> def step():
        ...     model(torch.ones(2, 4)).sum().backward()
        ...     model.zero_grad()
        >>> tidemark.record(step).peak_bytes > 0
        True
    """
    if device is not None:
        raise NotSupported(
            f"recording on fake tensors (device={device!r}) is not there yet; record the real step"
        )
    with MemoryBudget(memory) as budget:
        for _ in range(_MAX_STEPS):
            with budget.step():
                fn(*args)
            if budget.last_step.kind == "planned":
                break
        graph = budget.graph
    assert graph is not None, "a step that ended was recorded"
    return graph


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What a step needs."""

    graph: StepGraph
    """The step as data."""
    plan: Plan
    """The step with everything kept."""

    @property
    def peak_bytes(self) -> int:
        """The largest number of live bytes, with everything kept."""
        return self.graph.peak_bytes

    def fits(self, memory: int | str) -> bool:
        """Returns whether the step runs in `memory` with everything kept."""
        return self.peak_bytes <= parse_bytes(memory)

    def __str__(self) -> str:
        return f"the step needs {format_bytes(self.peak_bytes)} with everything kept"


def estimate(fn: Callable[..., object], *args: object, device: str | None = None) -> Estimate:
    """Returns what one step `fn(*args)` needs. Arguments and errors are those of `record`."""
    graph = record(fn, *args, device=device)
    return Estimate(graph=graph, plan=plan(graph, graph.peak_bytes, policy="keep_all"))
