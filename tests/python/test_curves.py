"""A recorded step's simulated curve is what the test's own allocator counts, event by event."""

from __future__ import annotations

import gc
import json
from dataclasses import dataclass
from typing import Any

import counting_allocator
import pytest
import tidemark
import torch
from counted_runs import train
from torch.utils._python_dispatch import TorchDispatchMode
from training_loops import LOOPS, Loop

pytestmark = pytest.mark.usefixtures("counter")


@dataclass(frozen=True)
class CountedOp:
    """An op as it ran, and where it begins and ends in the allocator's log."""

    name: str
    begin: int
    end: int


class OpLog(TorchDispatchMode):
    """Notes every op but views. It stands above Tidemark's tap and knows nothing of it."""

    def __init__(self) -> None:
        super().__init__()
        self.ops: list[CountedOp] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        begin = counting_allocator.log_size() - 1
        result = func(*args, **(kwargs or {}))
        if not is_view(func):
            end = counting_allocator.log_size() - 1
            self.ops.append(CountedOp(func.name(), begin, end))
        return result


def is_view(func: Any) -> bool:
    """Whether it is a pure view, which is no op of a step (docs/step-graph.md)."""
    if func._schema.name in {"aten::_unsafe_view", "aten::detach", "aten::_reshape_alias"}:
        return True
    returned = func._schema.returns
    return bool(returned) and all(r.alias_info and not r.alias_info.is_write for r in returned)


def count_step(
    budget: tidemark.MemoryBudget, loop: Loop
) -> tuple[tidemark.StepGraph, list[CountedOp], list[int]]:
    """Runs one watched step; returns it as data, its ops, and the live bytes along it."""
    x, y = loop.next_batch()
    with budget.step(), OpLog() as seen:
        counting_allocator.start_log()
        train(loop, x, y)
        log = counting_allocator.stop_log()
    assert budget.last_step.kind == "watched"
    assert budget.graph is not None
    return budget.graph, seen.ops, log


class Walk:
    """Goes through the log along the ops, and between them, where the program lets go."""

    def __init__(self, ops: list[CountedOp], log: list[int]) -> None:
        self.log = log
        self.at = 0
        self.ops = iter([*ops, CountedOp("the end", len(log) - 1, len(log) - 1)])
        self.op = next(self.ops)

    def host(self) -> tuple[int, int, int]:
        """Readings of the next allocation between ops."""
        for i in range(self.at + 1, self.op.end + 1):
            if self.log[i] > self.log[i - 1]:
                self.at = i
                return self.log[i - 1], self.log[i], self.log[i]
        raise AssertionError(f"no allocation from {self.at} to {self.op}")

    def unpack(self, live: int) -> tuple[int, int, int]:
        """Readings of a moment before the next allocation that has `live` bytes."""
        for i in range(self.at, self.op.begin + 1):
            assert i == self.at or self.log[i] < self.log[i - 1], "an allocation nobody recorded"
            if self.log[i] == live:
                self.at = i
                return live, live, live
        raise AssertionError(f"{live} is not live from {self.at} to {self.op}")

    def run(self, name: str) -> tuple[int, int, int]:
        """Readings of the next op."""
        op = self.op
        assert op.name == name
        # The dispatch mode makes tensors of Python numbers: to it a part of the op, to the tap not.
        inside = self.log[max(self.at, op.begin) : op.end + 1]
        self.at, self.op = op.end, next(self.ops)
        return inside[0], max(inside), inside[-1]


def counted_curve(
    events: list[dict[str, Any]], ops: list[CountedOp], log: list[int], simulated: list[int]
) -> list[tuple[int, int, int]]:
    """What the log reads at every event; at an unpack, which it cannot see, where it agrees."""
    curve = []
    walk = Walk(ops, log)
    for event, live in zip(events, simulated, strict=True):
        kind = event.get("kind", "op")
        if kind == "host":
            curve.append(walk.host())
        elif kind == "unpack":
            curve.append(walk.unpack(live))
        else:
            curve.append(walk.run(event["name"]))
    assert walk.op.name == "the end"
    return curve


@pytest.mark.parametrize("name", sorted(LOOPS))
def test_the_simulated_curve_is_the_counted_one_at_every_event(name: str) -> None:
    gc.collect()
    torch.manual_seed(0)
    with tidemark.MemoryBudget(None) as budget:
        loop = LOOPS[name]()
        for _ in range(2):  # without and with optimizer state at its beginning
            graph, ops, log = count_step(budget, loop)
            simulated = tidemark.simulate(graph).curve
            offset = log[ops[0].begin] - simulated[0][0]
            simulated = [tuple(bytes_ + offset for bytes_ in reading) for reading in simulated]
            events = json.loads(graph.to_json())["events"]
            counted = counted_curve(events, ops, log, [reading[0] for reading in simulated])

            differences = [
                (i, events[i]["name"], *pair)
                for i, pair in enumerate(zip(simulated, counted, strict=True))
                if pair[0] != pair[1]
            ]
            assert differences == []
