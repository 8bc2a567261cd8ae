"""Forward-only code served from planned addresses computes what stock torch computes."""

from __future__ import annotations

import gc

import counting_allocator
import pytest
import tidemark
import torch
from arena_loops import bits_of, make, plain, resident_bytes
from torch import nn

CALLS = 100


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8 * 64, 10)).eval()


def batch(call: int, size: int = 4) -> torch.Tensor:
    return torch.full((size, 3, 16, 16), 0.1) * (call % 7)


def answers(model: nn.Module, serving: tidemark.serving.Inference | None) -> list[torch.Tensor]:
    result = []
    for call in range(CALLS):
        if serving is None:
            with torch.no_grad():
                result.append(model(batch(call)).softmax(1))
        else:
            with serving:
                result.append(model(batch(call)).softmax(1))
    return result


def test_n13_a_hundred_calls_take_memory_once_and_answer_the_same() -> None:
    model = network()
    expected = answers(model, None)
    serving = tidemark.inference(poison=True)
    found = answers(model, serving)  # all of them are kept
    summary = serving.arena
    serving.close()
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert summary.num_mappings == 1
    assert summary.num_fallen_back == 0
    assert summary.num_served % (CALLS - 2) == 0
    assert summary.why_not == ""
    assert summary.height == summary.lower_bound


def test_n9_addresses_are_the_same_in_every_call() -> None:
    model, pointers = network(), []
    model[0].register_forward_hook(lambda *call: pointers.append(call[2].data_ptr()))
    serving = tidemark.inference()
    answers(model, serving)
    serving.close()
    assert len(set(pointers[2:])) == 1


def test_n12_and_n14_memory_is_taken_late_and_given_back_after_every_call() -> None:
    model = nn.Sequential(nn.Linear(8, 1 << 22), nn.ReLU())
    x = torch.ones(4, 8)
    before = resident_bytes()
    serving = tidemark.inference(release=True)
    assert resident_bytes() - before < 1 << 20
    for _ in range(5):
        with serving:
            answer = model(x).sum().item()
    assert serving.arena.height >= 4 << 24
    assert resident_bytes() - before < 4 << 20
    with torch.no_grad():
        assert model(x).sum().item() == answer
    serving.close()


def serve_two_sizes(model: nn.Module, shape: tuple[int, ...]) -> tidemark.arena.ArenaSummary:
    serving = tidemark.inference(poison=True)
    for call in range(40):
        x = torch.full((4 if call % 10 else 3, *shape), 0.1) * (call % 7)
        with serving:
            found = model(x).argmax(1)
        with torch.no_grad():
            assert torch.equal(found, model(x).argmax(1))
    serving.close()
    return serving.arena


def test_n21_a_batch_size_that_shows_at_once_is_another_form() -> None:
    summary = serve_two_sizes(nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 4)), (8,))
    assert summary.num_fallen_back == 0
    assert summary.num_mappings == 2


def test_n21_a_batch_size_that_shows_later_falls_back() -> None:
    summary = serve_two_sizes(network(), (3, 16, 16))  # the convolution's weight comes first
    assert summary.num_fallen_back > 0
    assert summary.num_served > 0


def test_n2_a_hundred_times_training_and_inference_leak_nothing(counter: None) -> None:
    def run(serves: bool) -> tuple[list[object], list[int]]:
        loop, live = make(), []
        budget = tidemark.MemoryBudget(None, arena="on") if serves else None
        serving = tidemark.inference() if serves else None
        for loop.step in range(CALLS):
            if budget is None or serving is None:
                plain(loop)
                with torch.no_grad():
                    loop.kept = [loop.forward(3).clone()]
            else:
                with budget.step():
                    plain(loop)
                with serving:
                    loop.kept = [loop.forward(3).clone()]
            live.append(counting_allocator.live())
        if budget is not None and serving is not None:
            assert budget.arena.num_mappings == serving.arena.num_mappings == 1
            serving.close()
            budget.close()
        return bits_of(loop), live

    gc.collect()
    (expected, _), (found, live) = run(False), run(True)
    assert all((a == b).all() for a, b in zip(found, expected, strict=True))
    assert len(set(live[5:])) == 1


def test_n19_the_input_is_read_where_it_lies() -> None:
    seen = []
    model = network()
    model[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].data_ptr()))
    x, serving = batch(1), tidemark.inference()
    for _ in range(4):
        with serving:
            model(x)
    serving.close()
    assert seen == [x.data_ptr()] * 4


def test_calls_do_not_nest_and_end_with_close() -> None:
    serving = tidemark.inference()
    with serving, pytest.raises(RuntimeError, match="inside a step or another call"):
        serving.__enter__()
    budget = tidemark.MemoryBudget(None)
    with budget.step(), pytest.raises(RuntimeError, match="inside a step"):
        serving.__enter__()
    budget.close()
    with pytest.raises(ArithmeticError), serving:
        raise ArithmeticError
    serving.close()
    with pytest.raises(RuntimeError, match="was closed"):
        serving.__enter__()
