"""Steps estimated without memory: the same ops and bytes as real ones, and nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import counting_allocator
import pytest
import tidemark
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from training_loops import LOOPS, Loop

MODELS = ("gpt", "resnet", "unet", "lstm", "cells", "mlp")
Step = Callable[[], torch.Tensor]


@pytest.fixture(scope="module", autouse=True)
def counter() -> Iterator[None]:
    counting_allocator.install()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def step_of(loop: Loop) -> Step:
    """One iteration as people write it; `logits` and `loss` live until the next."""
    held: dict[str, torch.Tensor] = {}

    def step() -> torch.Tensor:
        loop.optimizer.zero_grad()
        x, y = loop.next_batch()
        held["logits"] = loop.model(x)
        held["loss"] = loop.loss(held["logits"], y)
        held["loss"].backward()
        loop.optimizer.step()
        return held["loss"].detach()

    return step


def make(name: str) -> Loop:
    torch.manual_seed(0)
    return LOOPS[name]()


def document(graph: tidemark.StepGraph) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(graph.to_json())
    return found


def structure(graph: tidemark.StepGraph) -> list[Any]:
    """Ops and values of a graph, without what is measured.

    Left out too are blocks of the step before that nothing touches: an op that makes several
    results allocates them in an order of its own, and so they die in it.
    """
    found = document(graph)
    events = [
        {k: v for k, v in event.items() if k not in ("cost_ns", "workspace_bytes", "source")}
        for event in found["events"]
    ]
    touched = {v for e in events for k in ("inputs", "outputs", "values") for v in e.get(k, [])}
    old = [value for i, value in enumerate(found["values"]) if i not in touched]
    return [
        events,
        [value for i, value in enumerate(found["values"]) if i in touched],
        sorted((value["bytes"], value["holds"]) for value in old),
        found["entry"]["bytes_by_category"],
    ]


@pytest.mark.parametrize("name", MODELS)
def test_estimated_and_recorded_steps_agree_in_ops_and_bytes(name: str) -> None:
    step = step_of(make(name))

    estimated = tidemark.record(step, device="cpu")
    recorded = tidemark.record(step)

    assert estimated.is_estimate
    assert not recorded.is_estimate
    assert structure(estimated) == structure(recorded)


@pytest.mark.parametrize("name", MODELS)
def test_the_estimated_peak_is_within_two_percent_of_the_counted_one(name: str) -> None:
    before = counting_allocator.live()
    step = step_of(make(name))
    estimated = tidemark.estimate(step, device="cpu").peak_bytes
    step(), step()

    counting_allocator.reset_peak()
    step()
    counted = counting_allocator.peak() - before

    assert abs(estimated - counted) <= 0.02 * counted, (estimated, counted)


@pytest.mark.parametrize("name", ["gpt", "resnet", "unet", "lstm"])
@pytest.mark.parametrize("empty", [FakeTensorMode, lambda: torch.device("meta")])
def test_a_model_without_data_gives_the_graph_of_a_real_one(
    name: str, empty: Callable[[], Any]
) -> None:
    with empty():
        loop = make(name)
    weights = [(p, type(p), p.device) for p in loop.model.parameters()]

    estimated = tidemark.record(step_of(loop), device="cpu")

    assert structure(estimated) == structure(tidemark.record(step_of(make(name))))
    assert [(p, type(p), p.device) for p in loop.model.parameters()] == weights
    assert all(p.grad is None for p in loop.model.parameters())


def test_a_step_that_no_machine_here_could_hold_takes_no_memory() -> None:
    with FakeTensorMode():
        model = torch.nn.Sequential(torch.nn.Linear(300_000, 300_000), torch.nn.ReLU())
        optimizer = torch.optim.AdamW(model.parameters())
        x = torch.ones(1000, 300_000)
        counting_allocator.reset_peak()
        before = counting_allocator.live()

        def step() -> None:
            model(x).sum().backward()
            optimizer.step()
            optimizer.zero_grad()

        found = tidemark.estimate(step, device="cpu")

    weight = 4 * 300_000**2
    assert found.peak_bytes > 4 * weight  # with its gradient and AdamW's two moments
    assert not found.fits("1 TiB")
    assert found.fits("2 TiB")
    assert counting_allocator.peak() - before < 10_000_000
    assert "Optstate" in str(found)


def state_of(loop: Loop) -> list[Any]:
    """Everything that an estimate might spoil: identities and copies."""
    tensors = [*loop.model.parameters(), *loop.model.buffers()]
    gradients = [p.grad for p in loop.model.parameters()]
    state = [v for s in loop.optimizer.state.values() for v in s.values()]
    values = [t.detach().clone() if isinstance(t, torch.Tensor) else t for t in tensors + state]
    values += [None if g is None else g.clone() for g in gradients]
    groups = [dict(group) for group in loop.optimizer.param_groups]
    return [[id(t) for t in tensors + gradients + state], groups, torch.get_rng_state(), *values]


def same(left: Any, right: Any) -> bool:
    if isinstance(left, torch.Tensor):
        return torch.equal(left, right)
    return bool(left == right)


@pytest.mark.parametrize("name", ["gpt", "resnet"])
@pytest.mark.parametrize("trained", [0, 2])
def test_an_estimate_changes_nothing_of_a_real_model(name: str, trained: int) -> None:
    loop = make(name)
    step = step_of(loop)
    for _ in range(trained):
        step()
    before = state_of(loop)

    def decaying() -> None:
        step()
        torch.manual_seed(1)
        loop.optimizer.param_groups[0]["lr"] *= 0.5

    tidemark.estimate(decaying, device="cpu")

    after = state_of(loop)
    assert len(after) == len(before)
    assert all(same(a, b) for a, b in zip(after[2:], before[2:], strict=True))
    assert after[0] == before[0]
    assert [g["lr"] for g in after[1]] == [g["lr"] for g in before[1]]


def test_an_estimate_that_fails_changes_nothing_either() -> None:
    loop = make("resnet")
    step = step_of(loop)
    before = state_of(loop)

    def fail() -> None:
        step()
        raise KeyError("the user's")

    with pytest.raises(KeyError):
        tidemark.estimate(fail, device="cpu")

    assert all(same(a, b) for a, b in zip(state_of(loop)[2:], before[2:], strict=True))
    assert torch.equal(torch.ones(2) + 1, torch.full((2,), 2.0))


@pytest.mark.parametrize("name", ["gpt", "resnet", "unet"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_plan_from_an_estimate_holds_the_budget_from_the_first_step(
    name: str, share: float
) -> None:
    stock = step_of(make(name))
    expected = [stock() for _ in range(5)]
    del stock

    before = counting_allocator.live()
    step = step_of(make(name))
    graph = tidemark.record(step, device="cpu")
    least = tidemark.frontier(graph, points=2).least_feasible_bytes
    memory = int(least + share * (graph.peak_bytes - least))
    plan = tidemark.plan(graph, memory)
    torch.manual_seed(0)
    step = step_of(LOOPS[name]())

    found, counted, kinds = [], [], []
    with tidemark.MemoryBudget(memory, plan=plan) as budget:
        for _ in range(5):
            counting_allocator.reset_peak()
            with budget.step():
                found.append(step())
            counted.append(counting_allocator.peak() - before)
            kinds.append(budget.last_step.kind)

    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert max(counted) <= memory
    assert kinds[2:] == ["planned"] * 3


def layers() -> torch.nn.Sequential:
    torch.manual_seed(0)
    block = (torch.nn.Linear(48, 48), torch.nn.GELU(), torch.nn.Dropout(0.1))
    return torch.nn.Sequential(*block, torch.nn.Linear(48, 48), torch.nn.ReLU(inplace=True))


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x * gradient


def accumulate(model: torch.nn.Module, x: torch.Tensor) -> None:
    for part in x.chunk(4):
        model(part).square().mean().backward()


def autocast(model: torch.nn.Module, x: torch.Tensor) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(x).float().square().mean()
    loss.backward()


def recompute_by_hand(model: torch.nn.Module, x: torch.Tensor) -> None:
    torch.utils.checkpoint.checkpoint(model, x, use_reentrant=False).sum().backward()


def run_backward_twice(model: torch.nn.Module, x: torch.Tensor) -> None:
    loss = model(x).square().mean()
    loss.backward(retain_graph=True)
    loss.backward()


def differentiate_twice(model: torch.nn.Module, x: torch.Tensor) -> None:
    loss = model(x).square().mean()
    gradients = torch.autograd.grad(loss, list(model.parameters()), create_graph=True)
    torch.stack([g.square().sum() for g in gradients]).sum().backward()


def use_a_function_in_python(model: torch.nn.Module, x: torch.Tensor) -> None:
    Square.apply(model(x)).sum().backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)


@pytest.mark.parametrize(
    "work",
    [
        *(accumulate, autocast, recompute_by_hand, run_backward_twice, differentiate_twice),
        use_a_function_in_python,
    ],
)
@pytest.mark.parametrize("options", [{"foreach": True}, {"fused": True}, {}])
def test_unusual_steps_agree_too(
    work: Callable[[torch.nn.Module, torch.Tensor], None], options: dict[str, bool]
) -> None:
    model = layers()
    optimizer = torch.optim.AdamW(model.parameters(), **options)
    x = torch.randn(32, 48)

    def step() -> None:
        work(model, x)
        optimizer.step()
        optimizer.zero_grad()

    assert structure(tidemark.record(step, device="cpu")) == structure(tidemark.record(step))


def test_gradients_from_before_die_in_the_estimate_as_in_the_step() -> None:
    model = layers()
    x = torch.randn(32, 48)
    model(x).sum().backward()
    gradients = [p.grad for p in model.parameters()]

    def step() -> None:
        model(x).sum().backward()
        model.zero_grad()

    estimated = tidemark.record(step, device="cpu").peak_bytes

    assert [p.grad for p in model.parameters()] == gradients
    assert estimated == tidemark.record(step).peak_bytes


def test_numbers_are_read_where_they_are_known() -> None:
    model = torch.nn.Linear(4, 4)
    seen: list[float] = []

    def step() -> None:
        loss = model(torch.ones(int(torch.tensor(3)), 4)).sum()
        loss.backward()
        seen.append(loss.item())
        if torch.isnan(loss):
            raise AssertionError("a number that nobody knows is not taken for nan")

    graph = tidemark.record(step, device="cpu")

    assert "f32[3,4]" in graph.to_json()
    assert set(seen) == {1.0}


def test_what_depends_on_data_is_refused_by_name() -> None:
    weight = torch.nn.Parameter(torch.ones(4))

    with pytest.raises(tidemark.NotSupported, match="nonzero"):
        tidemark.record(lambda: weight[weight > 0].sum().backward(), device="cpu")


def test_batches_come_from_a_loader_that_shuffles() -> None:
    model = layers()
    data = torch.utils.data.TensorDataset(torch.randn(12, 48))
    loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)

    def step() -> None:
        for (x,) in loader:
            model(x).sum().backward()
        model.zero_grad()

    assert structure(tidemark.record(step, device="cpu")) == structure(tidemark.record(step))


def test_a_number_is_not_known_once_the_step_has_written_it() -> None:
    count = torch.tensor(7.0)
    seen: list[float] = []

    def step() -> None:
        seen.append(count.item())
        count.add_(1)
        seen.append(count.item())

    tidemark.record(step, device="cpu")

    assert seen[:2] == [7.0, 1.0]
    assert count.item() == 7.0


def test_reading_what_has_no_data_raises() -> None:
    kept: list[torch.Tensor] = []
    tidemark.record(lambda: kept.append(torch.ones(3) * 2), device="cpu")

    with pytest.raises(RuntimeError, match="no data"):
        kept[0].tolist()
    with pytest.raises(RuntimeError, match="no data"):
        kept[0] + 1


def test_an_estimate_takes_no_memory_limit_and_no_other_device() -> None:
    def step() -> None:
        torch.ones(2)

    with pytest.raises(ValueError, match="takes no memory"):
        tidemark.record(step, device="cpu", memory="1 GiB")
    with pytest.raises(tidemark.NotSupported, match="'cuda'"):
        tidemark.estimate(step, device="cuda")
    with pytest.raises(RuntimeError, match="inside an estimate"):
        tidemark.record(lambda: tidemark.record(step, device="cpu"), device="cpu")
    with (
        tidemark.MemoryBudget(None) as budget,
        budget.step(),
        pytest.raises(RuntimeError, match="inside a step"),
    ):
        tidemark.record(step, device="cpu")


def test_an_estimate_passes_over_tensors_that_wrap_others() -> None:
    model, x = layers(), torch.randn(4, 48)
    # PyTorch itself keeps a jagged tensor on "meta" once a program has made any.
    nested = torch.nested.nested_tensor(
        [torch.zeros(2, 3), torch.zeros(1, 3)], layout=torch.jagged, device="meta"
    )

    graph = tidemark.estimate(lambda: model(x).square().mean().backward())

    assert graph.peak_bytes > 0
    assert nested.is_meta
