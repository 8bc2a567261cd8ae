"""Holds a PyTorch training step to a memory budget given in bytes, bit for bit.

    budget = tidemark.MemoryBudget("6 GiB")
    for x, y in loader:
        with budget.step():
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    print(budget.report())

Graphs, plans and reports need no torch. What runs inside torch (`MemoryBudget`, `record`,
`estimate`, `verify`, `checkpoint`, `auto_checkpoint`) is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from tidemark import _core
from tidemark.batches import MaxBatch, max_batch
from tidemark.bytes import format_bytes, parse_bytes
from tidemark.errors import (
    BudgetInfeasible,
    NotSupported,
    PlanMismatch,
    ReplayMismatch,
    UnseenWrite,
)
from tidemark.explanation import Explanation, explain
from tidemark.frontier import Frontier, frontier
from tidemark.generation import generate, generated_models
from tidemark.graph import StepGraph
from tidemark.packing import Buffer, Packing, pack
from tidemark.plan import Plan, least_memory, plan, policies
from tidemark.report import Report, StepCounts, make_report
from tidemark.simulation import Simulation, Violation, simulate, validate

if TYPE_CHECKING:
    from tidemark.budget_exceeded import BudgetExceeded
    from tidemark.checkpointing import auto_checkpoint, checkpoint
    from tidemark.debugging import debug
    from tidemark.immediate_updates import optimizer_in_backward
    from tidemark.memory_budget import MemoryBudget
    from tidemark.recording import Estimate, estimate, record
    from tidemark.rewriting import inplace
    from tidemark.serving import inference
    from tidemark.verification import verify

__version__: str = _core.version

__all__ = [
    "BudgetExceeded",
    "BudgetInfeasible",
    "Buffer",
    "Estimate",
    "Explanation",
    "Frontier",
    "MaxBatch",
    "MemoryBudget",
    "NotSupported",
    "Packing",
    "Plan",
    "PlanMismatch",
    "ReplayMismatch",
    "Report",
    "Simulation",
    "StepCounts",
    "StepGraph",
    "UnseenWrite",
    "Violation",
    "auto_checkpoint",
    "checkpoint",
    "debug",
    "estimate",
    "explain",
    "format_bytes",
    "frontier",
    "generate",
    "generated_models",
    "inference",
    "inplace",
    "least_memory",
    "make_report",
    "max_batch",
    "optimizer_in_backward",
    "pack",
    "parse_bytes",
    "plan",
    "policies",
    "record",
    "simulate",
    "validate",
    "verify",
]

# Names of the torch half, and where they are.
_RUNTIME = {
    "Estimate": "recording",
    "MemoryBudget": "memory_budget",
    "auto_checkpoint": "checkpointing",
    "checkpoint": "checkpointing",
    "debug": "debugging",
    "estimate": "recording",
    "inference": "serving",
    "inplace": "rewriting",
    "optimizer_in_backward": "immediate_updates",
    "record": "recording",
    "verify": "verification",
}


def __getattr__(name: str) -> object:
    if name == "BudgetExceeded":
        return importlib.import_module("tidemark.budget_exceeded").BudgetExceeded
    if name not in _RUNTIME:
        raise AttributeError(f"module 'tidemark' has no attribute {name!r}")
    from tidemark import _runtime

    _runtime.require()
    value: object = getattr(importlib.import_module(f"tidemark.{_RUNTIME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
