"""Row E7: the models that NNTrainer lists lie at the same addresses in every planned iteration."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import counting_allocator
import pytest
import tidemark
import torch
from torch import nn

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "python" / "nntrainer.py"
NNTRAINER = runpy.run_path(str(BENCHMARK))
SLOW = ("alexnet", "vgg", "resnet18")
FIRST_SERVED = 4  # two steps are watched, and two show what the step allocates
PLANNED = 50

pytestmark = pytest.mark.usefixtures("counter")


class Watched:
    """A budget that notes of each step what it took from the system and where its tensors lay."""

    def __init__(self, budget: tidemark.MemoryBudget) -> None:
        self.budget = budget
        self.allocations: list[int] = []
        self.pointers: list[list[int]] = []

    @contextmanager
    def step(self) -> Iterator[None]:
        self.pointers.append([])
        before = counting_allocator.num_allocations()
        with self.budget.step():
            yield
        self.allocations.append(counting_allocator.num_allocations() - before)

    def note(self, module: nn.Module, inputs: object, outputs: Any) -> None:
        first = outputs[0] if isinstance(outputs, tuple) else outputs
        self.pointers[-1].append(first.data_ptr())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.full] if name in SLOW else [])
        for name in NNTRAINER["MODELS"]
    ],
)
def test_e7_addresses_repeat_and_nothing_is_taken_from_the_system(name: str) -> None:
    with tidemark.MemoryBudget(None, arena="on") as budget:
        watched = Watched(budget)
        noting = torch.nn.modules.module.register_module_forward_hook(watched.note)
        try:
            NNTRAINER["train"](name, watched, FIRST_SERVED + PLANNED)
        finally:
            noting.remove()
        arena = budget.arena
    assert min(watched.allocations[:FIRST_SERVED]) > 0
    assert watched.allocations[FIRST_SERVED:] == [0] * PLANNED
    addresses = {tuple(pointers) for pointers in watched.pointers[FIRST_SERVED:]}
    assert len(addresses) == 1
    assert len(addresses.pop()) > 1
    assert arena.num_mappings == 1
    assert arena.height <= 1.01 * arena.lower_bound
