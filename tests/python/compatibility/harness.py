"""Runs a row by stock torch and under budgets, and says what differed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import Any

import counting_allocator
import pytest
import tidemark
import torch
from counted_runs import Run, run
from torch import nn
from torch.utils import _pytree as pytree

from compatibility import all_rows
from compatibility.rows import Program, Row

STEPS = 6
SHARES = (0.0, 0.3, 0.6)

State = dict[str, object]

run_row = partial(
    run,
    steps=STEPS,
    step=Program.train,
    around=lambda program, whole_step: program.around(whole_step),
)


@dataclass
class Result:
    """What one row gave under one budget."""

    share: float
    memory: int = 0
    num_planned: int = 0
    num_replays: int = 0
    """Ops that ran again in the last step."""
    wrong: list[str] = field(default_factory=list)
    """Whatever breaks the promise; empty if the row works."""
    is_refused: bool = False
    """Whether the budget is too tight for a dynamic row, of which no step is planned."""


@dataclass
class Range:
    """Stock torch's run of a row, and the budgets that matter."""

    stock: Run
    graph: tidemark.StepGraph
    least: int
    unplanned: int

    def budget_at(self, share: float) -> int:
        return int(self.least + share * (self.unplanned - self.least))


def bits(tensor: torch.Tensor) -> object:
    """Everything that makes two tensors the same, in memory that no allocator of ours counts."""
    tensor = tensor.detach()
    if hasattr(tensor, "to_local"):  # a DTensor
        tensor = tensor.to_local()
    head = (tensor.dtype, tuple(tensor.shape))
    if tensor.layout == torch.sparse_coo:
        return (*head, bits(tensor._indices()), bits(tensor._values()))
    if tensor.layout != torch.strided:
        return (*head, bits(tensor.to_dense()))
    if tensor.is_quantized:
        return (*head, bits(tensor.int_repr()))
    plain = tensor.resolve_conj().resolve_neg().contiguous().reshape(-1)
    return (*head, plain.view(torch.uint8).numpy().tobytes())


def named_bits(name: str, thing: Any) -> Iterator[tuple[str, object]]:
    if isinstance(thing, nn.Module):
        for key, parameter in thing.named_parameters():
            yield f"{name} parameter {key}", bits(parameter)
            if parameter.grad is not None:
                yield f"{name} gradient {key}", bits(parameter.grad)
        for key, buffer in thing.named_buffers():
            yield f"{name} buffer {key}", bits(buffer)
    elif isinstance(thing, torch.Generator):
        yield f"{name} generator", bits(thing.get_state())
    elif isinstance(thing, torch.amp.GradScaler):
        yield from named_bits(name, thing.state_dict())
    elif isinstance(thing, torch.optim.Optimizer):
        for index, state in enumerate(thing.state.values()):
            yield from named_bits(f"{name} state {index}", dict(state))
    else:
        for path, leaf in pytree.tree_flatten_with_path(thing)[0]:
            key = f"{name}{pytree.keystr(path)}"
            yield key, bits(leaf) if isinstance(leaf, torch.Tensor) else repr(leaf)


def state_of(program: Program) -> State:
    state: State = {"generator": bits(torch.get_rng_state())}
    things = {"model": program.model, "returned": program.outcome, **program.others}
    for index, optimizer in enumerate(program.optimizers):
        things[f"optimizer {index}"] = optimizer
    for name, thing in things.items():
        state.update(named_bits(name, thing))
    return state


def differences(found: Run, expected: Run) -> list[str]:
    """The first step that differs, and in what."""
    for step, (a, b) in enumerate(zip(found.state, expected.state, strict=True)):
        names = [name for name in a.keys() | b.keys() if a.get(name) != b.get(name)]
        if names:
            return [f"step {step} ({found.summaries[step]}): {', '.join(sorted(names))}"]
    return []


def results_of(row: Row, shares: Iterable[float]) -> list[Result]:
    """Runs a row at each share; none if it is refused by its message, as it must be."""
    if not row.apart:
        return results_here(row.name, shares)
    with ProcessPoolExecutor(1, get_context("spawn"), prepare) as process:
        return process.submit(results_here, row.name, tuple(shares)).result()


def prepare() -> None:
    counting_allocator.install()
    torch.set_num_threads(1)


def results_here(name: str, shares: Iterable[float]) -> list[Result]:
    row = all_rows()[name]
    if row.message is not None:
        find_refusal(row)
        return []
    known = find_range(row)
    return [run_at(row, known, share) for share in shares]


def find_range(row: Row) -> Range:
    """Runs a row by stock torch, then without a limit, which must change nothing at all."""
    stock = run_row(row.make, None, look=state_of)
    with tidemark.MemoryBudget(None, arena="poison") as budget:
        kept = run_row(row.make, budget, look=state_of)
        graph = budget.graph
    assert graph is not None
    assert differences(kept, stock) == []
    assert row.dynamic or row.unseen_bytes is None or kept.counted == stock.counted
    frontier = tidemark.frontier(graph, points=2)
    unplanned = max(graph.peak_bytes, max(stock.counted))
    return Range(stock, graph, frontier.least_feasible_bytes, unplanned)


def find_refusal(row: Row) -> None:
    """Asserts that the row is refused by its message, under any budget."""
    assert row.message is not None
    with tidemark.MemoryBudget(None) as budget, pytest.raises(Exception, match=row.message):
        run_row(row.make, budget, look=state_of)


def run_at(row: Row, known: Range, share: float) -> Result:
    """Runs a row with a budget at `share` of its range, and judges it."""
    result = Result(share, known.budget_at(share))
    found = run_within(row, result.memory, None)
    if found is None and not row.dynamic:
        # Too tight for watching: a plan made before serves the first steps. After an error torch's
        # engine keeps the nodes that were ready until the thread's next backward.
        torch.ones((), requires_grad=True).backward()
        found = run_within(row, result.memory, tidemark.plan(known.graph, result.memory))
        assert found is not None
    if found is None:
        result.is_refused = True
        return result
    planned = [step for step in found.summaries if step.kind == "planned"]
    result.num_planned, result.num_replays = len(planned), found.summaries[-1].num_replays
    result.wrong = differences(found, known.stock) + misses(row, found, result.memory)
    return result


def run_within(row: Row, memory: int, plan: tidemark.Plan | None) -> Run | None:
    """Returns None if a step that no plan is known for yet was refused."""
    with tidemark.MemoryBudget(memory, plan=plan, arena="poison") as budget:
        try:
            return run_row(row.make, budget, look=state_of)
        except (tidemark.BudgetExceeded, tidemark.BudgetInfeasible):
            return None


def misses(row: Row, found: Run, memory: int) -> list[str]:
    """What the steps promised and did not keep."""
    wrong = []
    for step, (summary, counted) in enumerate(zip(found.summaries, found.counted, strict=True)):
        peak = summary.peak_bytes if row.has_other_threads else counted
        if peak > memory:
            wrong.append(f"step {step}: counted {peak} B, above the budget of {memory} B")
        if summary.kind != "planned" or row.has_other_threads:
            continue
        is_exact = row.unseen_bytes is not None and not row.dynamic
        if is_exact and summary.peak_bytes != counted + row.unseen_bytes:
            wrong.append(f"step {step}: counted {counted}, not what {summary} says")
        is_kept = summary.peak_bytes == summary.promised_bytes
        if summary.peak_bytes > summary.promised_bytes or (is_exact and not is_kept):
            wrong.append(f"step {step}: not the promised peak, {summary}")
    if not row.dynamic and sum(step.kind == "planned" for step in found.summaries) < 2:
        wrong.append(f"too few planned steps: {[(s.kind, s.difference) for s in found.summaries]}")
    if not row.dynamic and found.summaries[-1].num_replays == 0:
        wrong.append("nothing ran again: the row shows nothing")
    return wrong
