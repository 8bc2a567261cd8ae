"""Hosts' training loops under a budget: the weights they had before, inside, and planned."""

from __future__ import annotations

import gc
import re
import runpy
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tidemark
import torch
from lightning.pytorch import Callback
from tidemark.integrations.lightning import MemoryBudgetCallback
from tidemark.integrations.transformers import TidemarkCallback
from transformers import TrainerCallback

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "python"
DOCUMENT = (ROOT / "docs" / "integrations.md").read_text(encoding="utf-8")
BUDGET = 28 << 20  # the examples' own: below what they need without a plan

pytestmark = pytest.mark.usefixtures("counter", "nothing_left")


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """What a fit leaves that an exception has ended: Lightning's signal handler holds the trainer,
    and torch's engine the nodes that were ready, until the thread's next backward."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)
    gc.collect()
    torch.ones((), requires_grad=True).backward()
    gc.collect()


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports an example by its name."""
    monkeypatch.syspath_prepend(EXAMPLES)
    yield __import__
    for name in ("gpt", "hugging_trainer", "lightning_trainer", "accelerate_loop"):
        sys.modules.pop(name, None)


def assert_same_weights(found: torch.nn.Module, expected: torch.nn.Module) -> None:
    ours, theirs = found.state_dict(), expected.state_dict()
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def assert_held(budget: tidemark.MemoryBudget | None) -> None:
    assert budget is not None
    assert budget.peak_bytes <= BUDGET
    assert budget.steps.planned >= 2
    assert budget.last_step.kind == "planned"
    assert budget.last_step.peak_bytes == budget.last_step.promised_bytes
    assert budget.last_step.num_replays > 0


def losses(trainer: Any) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_trainer_s_weights_and_losses_are_the_same(
    example: Callable[[str], ModuleType], accumulate: int
) -> None:
    train = example("hugging_trainer").train
    callback = TidemarkCallback(BUDGET)

    stock = train([], 6, accumulate)
    found = train([callback], 6, accumulate)

    assert_same_weights(found.model, stock.model)
    assert losses(found) == losses(stock)
    assert_held(callback.budget)


def test_a_trainer_logs_what_was_promised_and_measured(
    example: Callable[[str], ModuleType],
) -> None:
    trainer = example("hugging_trainer").train([TidemarkCallback(BUDGET)], 4, 1)

    (logged,) = (entry for entry in trainer.state.log_history if "loss" in entry)
    assert logged["memory/max_active(GiB)"] == logged["memory/predicted_peak(GiB)"]
    assert 0 < logged["memory/max_active(GiB)"] <= BUDGET / 2**30
    assert logged["memory/num_recomputed_ops"] > 0


def test_gradient_checkpointing_beside_a_budget_is_refused(
    example: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    hugging = example("hugging_trainer")
    model = hugging.make_model(hugging.Text.of_the_python_manual())
    asked = hugging.TrainingArguments(tmp_path, gradient_checkpointing=True, report_to=[])
    with pytest.raises(tidemark.NotSupported, match="gradient_checkpointing=True"):
        hugging.Trainer(model, asked, callbacks=[TidemarkCallback(None)])

    model.gradient_checkpointing_enable()
    plain = hugging.TrainingArguments(tmp_path, report_to=[])
    with pytest.raises(tidemark.NotSupported, match="nothing be left to choose"):
        hugging.Trainer(model, plain, callbacks=[TidemarkCallback(None)])


class Interrupt(TrainerCallback):
    """The user's Ctrl-C before the third update."""

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **facts: Any) -> None:
        if state.global_step == 2:
            raise KeyboardInterrupt


def test_a_trainer_that_was_interrupted_leaves_nothing_behind_once_closed(
    example: Callable[[str], ModuleType],
) -> None:
    train = example("hugging_trainer").train
    callback = TidemarkCallback(BUDGET)
    with pytest.raises(KeyboardInterrupt):
        train([callback, Interrupt()], 4, 1)
    assert callback.budget is not None
    assert callback.budget.is_in_step

    callback.close()

    assert not callback.budget.is_in_step
    stock = train([], 4, 1)
    assert_same_weights(train([callback], 4, 1).model, stock.model)


def test_a_trainer_that_was_interrupted_begins_anew_without_being_closed(
    example: Callable[[str], ModuleType],
) -> None:
    train = example("hugging_trainer").train
    stock = train([], 4, 1)
    callback = TidemarkCallback(BUDGET)
    with pytest.raises(KeyboardInterrupt):
        train([callback, Interrupt()], 4, 1)

    assert_same_weights(train([callback], 4, 1).model, stock.model)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_lightning_s_weights_are_the_same(
    example: Callable[[str], ModuleType], accumulate: int
) -> None:
    train = example("lightning_trainer").train
    callback = MemoryBudgetCallback(BUDGET)

    stock = train([], 12, accumulate)
    found = train([callback], 12, accumulate)

    assert_same_weights(found, stock)
    assert_held(callback.budget)


class Fail(Callback):
    """An error before the third update."""

    def on_before_optimizer_step(self, trainer: Any, *unused: object) -> None:
        if trainer.global_step == 2:
            raise ArithmeticError("on purpose")


def test_lightning_leaves_nothing_behind_after_an_exception(
    example: Callable[[str], ModuleType],
) -> None:
    train = example("lightning_trainer").train
    callback = MemoryBudgetCallback(BUDGET)

    with pytest.raises(ArithmeticError, match="on purpose"):
        train([callback, Fail()], 4)

    assert callback.budget is not None
    assert not callback.budget.is_in_step
    assert_same_weights(train([callback], 4), train([], 4))


def test_lightning_says_what_was_missing(example: Callable[[str], ModuleType]) -> None:
    train = example("lightning_trainer").train

    with pytest.raises(tidemark.BudgetExceeded) as caught:
        train([MemoryBudgetCallback("6 MiB")], 4)

    assert caught.value.budget_bytes == 6 << 20
    assert caught.value.missing_bytes > 0


def test_an_accelerate_loop_s_weights_are_the_same(
    example: Callable[[str], ModuleType],
) -> None:
    train = example("accelerate_loop").train
    stock = train(None)

    with tidemark.MemoryBudget(BUDGET) as budget:
        found = train(budget)

    assert_same_weights(found, stock)
    assert_held(budget)


@pytest.mark.parametrize("name", ["hugging_trainer", "lightning_trainer", "accelerate_loop"])
def test_examples_run_as_they_are_called(
    name: str,
    example: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", [f"{name}.py"])

    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")

    assert re.search(r"^steps +2 watched, 10 planned", capsys.readouterr().out, re.MULTILINE)


def test_what_the_document_shows_stands_in_the_examples() -> None:
    shown = re.findall(r"^ {4,}(\S.*)$", DOCUMENT, re.MULTILINE)
    sources = "".join(path.read_text(encoding="utf-8") for path in EXAMPLES.glob("*.py"))
    lines = {line.strip() for line in sources.replace("Usage: ", "").splitlines()}

    assert len(shown) > 10
    assert [line for line in shown if line.strip() not in lines] == []


def test_integrations_are_thin() -> None:
    for path in (ROOT / "python" / "tidemark" / "integrations").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 100, path
