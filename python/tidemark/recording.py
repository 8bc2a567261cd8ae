"""record and estimate: a step as data, before it has to fit anywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tidemark.bytes import parse_bytes
from tidemark.fakes import FakeDevice
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

    With `device` it does not: nothing is computed, tensors have sizes and no data, and the graph
    is that of a step which this machine need not be able to hold. Parameters, buffers, gradients,
    optimizer state and the generator are afterwards what they were; anything else that `fn` does
    in Python (appending to a list, stepping a scheduler) is done. The model may be a real one, or
    be built without memory under ``torch.device("meta")`` or PyTorch's ``FakeTensorMode``. Costs
    are modelled, and so is workspace (of convolutions, norms, attention and LSTMs, from small
    batches); `StepGraph.is_estimate` says so. A plan for such a graph is a prior to `MemoryBudget`.

    Args:
        fn: runs one whole step: forward, backward, optimizer.
        args: passed to `fn`.
        device: estimate a step on that device instead of running it; "cpu" is there so far.
        memory: hold the recorded steps to a budget meanwhile, as `MemoryBudget` does.

    Raises:
        NotSupported: estimating: another device, or an op whose result sizes depend on data.
        RuntimeError: estimating: `fn` reads the data of a tensor that has none. Only `item` gives a
            number: the true one where it is known, else 1.
        ValueError: both `device` and `memory`.

    Example:
        >>> import tidemark, torch
        >>> model = torch.nn.Linear(4, 4)
        >>> def step():
        ...     model(torch.ones(2, 4)).sum().backward()
        ...     model.zero_grad()
        >>> tidemark.record(step).peak_bytes > 0
        True
    """
    if device is None:
        return _record(fn, args, memory, None)
    if memory is not None:
        raise ValueError(f"device={device!r} takes no memory; leave memory={memory!r} out")
    with FakeDevice(device).entered() as fake:
        return fake.estimated(_record(fn, args, None, fake))


def _record(
    fn: Callable[..., object],
    args: tuple[object, ...],
    memory: int | str | None,
    fake: FakeDevice | None,
) -> StepGraph:
    with MemoryBudget(memory) as budget:
        for _ in range(_MAX_STEPS):
            if fake is not None:
                fake.begin_step()
            with budget.step():
                fn(*args)
            if budget.last_step.kind == "planned":
                break
            if fake is not None and budget.graph is not None:
                fake.end_step(budget.graph)
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
        return str(self.graph)


def estimate(fn: Callable[..., object], *args: object, device: str = "cpu") -> Estimate:
    """Returns what one step `fn(*args)` needs, without running it.

    Args:
        fn: runs one whole step: forward, backward, optimizer.
        args: passed to `fn`.
        device: the device meant.

    Raises:
        NotSupported, RuntimeError: as `record` with `device`.

    Example:
        >>> import tidemark, torch
        >>> with torch.device("meta"):
        ...     model = torch.nn.Linear(50_000, 50_000)
        >>> def step():
        ...     model(torch.ones(64, 50_000)).sum().backward()
        ...     model.zero_grad()
        >>> needed = tidemark.estimate(step)
        >>> needed.fits("16 GiB"), needed.fits("24 GiB")
        (False, True)
    """
    graph = record(fn, *args, device=device)
    return Estimate(graph=graph, plan=plan(graph, graph.peak_bytes, policy="keep_all"))
