"""Row P6: a replayed element-wise op writes over an input that nothing else reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import tidemark
import torch
from counted_runs import Run, assert_equal, assert_planned, run
from torch import nn
from torch.nn import functional

pytestmark = pytest.mark.usefixtures("counter")

# Of a value and of ones of its shape.
Op = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

UNARY = (
    *(torch.abs, torch.cos, torch.erf, torch.exp, torch.expm1, torch.log, torch.log1p, torch.neg),
    *(torch.reciprocal, torch.relu, torch.rsqrt, torch.sigmoid, torch.sin, torch.sqrt, torch.tanh),
    *(functional.elu, functional.gelu, functional.hardsigmoid, functional.hardswish),
    *(functional.hardtanh, functional.leaky_relu, functional.mish, functional.silu),
)
OPS: dict[str, Op] = {
    **{f.__name__: lambda a, _, f=f: f(a) for f in UNARY},
    "add": lambda a, _: a + 1.5,
    "addcdiv": lambda a, ones: torch.addcdiv(a, ones, ones, value=0.3),
    "addcmul": lambda a, ones: torch.addcmul(a, ones, ones, value=0.3),
    "clamp": lambda a, _: a.clamp(0.6, 1.1),
    "clamp_max": lambda a, _: a.clamp_max(1.1),
    "clamp_min": lambda a, _: a.clamp_min(0.6),
    "div": lambda a, _: a / 1.7,
    "div_floor": lambda a, ones: torch.div(a, ones, rounding_mode="floor"),
    "gelu_tanh": lambda a, _: functional.gelu(a, approximate="tanh"),
    "masked_fill": lambda a, ones: a.masked_fill(ones > 0, 2.0),
    "mul": lambda a, _: a * 1.5,
    "mul_broadcast": lambda a, ones: a * ones[:1],
    "sub": lambda a, ones: torch.sub(a, ones, alpha=0.1),
    "threshold": lambda a, _: functional.threshold(a, 0.8, 0.0),
    "bfloat16": lambda a, _: a.bfloat16().sin().float(),
}
ROWS, COLUMNS = 64, 257  # no multiple of any vector's length


class Chains:
    """Eight results, each half as large as the two values on the way to it.

    The gradient of the last weight lies there throughout backward: only there are the ways too
    long.
    """

    def __init__(self, op: Op) -> None:
        self.op, self.ones = op, torch.ones(ROWS, COLUMNS)
        self.weights = [nn.Parameter(torch.rand(COLUMNS)) for _ in range(8)]
        self.weights.append(nn.Parameter(torch.rand(3 * ROWS, COLUMNS)))
        self.optimizer = torch.optim.SGD(self.weights, lr=0.1, foreach=False)
        self.named = SimpleNamespace()

    def next_batch(self) -> tuple[torch.Tensor]:
        return (torch.rand(ROWS, COLUMNS) + 0.5,)


def train(loop: Chains, x: torch.Tensor) -> None:
    loop.optimizer.zero_grad()
    loop.named.loss = torch.zeros(())
    for i, weight in enumerate(loop.weights[:-1]):
        with torch.no_grad():
            way = loop.op(x + 0.01 * i, loop.ones)
            half = way[: ROWS // 2] + way[ROWS // 2 :]
            del way
        loop.named.loss = loop.named.loss + (half * weight).sum()
        del half
    loop.named.loss = loop.named.loss + (2 * loop.weights[-1]).sum()
    loop.named.loss.backward()
    loop.optimizer.step()


def weights(loop: Chains) -> list[torch.Tensor]:
    return [torch.from_numpy(w.detach().numpy().copy()) for w in loop.weights]


def recorded(op: Op) -> tidemark.StepGraph:
    with tidemark.MemoryBudget(None) as budget:
        run(lambda: Chains(op), budget, 4, train, weights)
        graph = budget.graph
    assert graph is not None
    return graph


def without_pairs(graph: tidemark.StepGraph) -> tidemark.StepGraph:
    step = json.loads(graph.to_json())
    for event in step["events"]:
        event.pop("replays_in_place", None)
    return tidemark.StepGraph.from_json(json.dumps(step))


def least(graph: tidemark.StepGraph) -> int:
    return tidemark.frontier(graph, points=2).least_feasible_bytes


def check(op: Op, memory: int) -> Run:
    stock = run(lambda: Chains(op), None, 6, train, weights)
    with tidemark.MemoryBudget(memory) as budget:
        found = run(lambda: Chains(op), budget, 6, train, weights)
    assert_equal(found, stock)
    assert_planned(found, memory)
    return found


@pytest.mark.parametrize("name", OPS)
def test_p6_a_replayed_op_writes_over_its_input(name: str) -> None:
    graph = recorded(OPS[name])
    memory = least(graph)
    if name != "bfloat16":  # too few bytes
        assert memory < least(without_pairs(graph))

    found = check(OPS[name], memory)

    assert found.summaries[-1].num_replays >= 16


def test_p6_an_input_that_something_else_reads_is_left_alone() -> None:
    def twice(a: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        b = a + 1.5
        return b * a

    check(twice, least(recorded(twice)))


def test_an_op_that_writes_over_what_it_reads_twice_takes_no_copy() -> None:
    def square(a: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return a.mul_(a)

    check(square, least(recorded(square)))
