"""Recorded here, planned where no torch is, followed there: as if planned in place."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import tidemark
from tidemark.targets import load_target

HERE = Path(__file__).parent
PYTHON = HERE.parent.parent / "python"

pytestmark = pytest.mark.usefixtures("counter")

TRAIN = f"""
import sys

sys.path.insert(0, {str(HERE)!r})
import torch
from training_loops import LOOPS

torch.set_num_threads(1)


class Step:
    def __init__(self, name):
        torch.manual_seed(0)
        self.loop = LOOPS[name]()

    def __call__(self):
        x, y = self.loop.next_batch()
        self.loop.optimizer.zero_grad()
        self.logits = self.loop.model(x)
        self.loss = self.loop.loss(self.logits, y)
        self.loss.backward()
        self.loop.optimizer.step()


def make_step():
    return Step("gpt")


def make_other():
    return Step("lstm")
"""

WITHOUT_TORCH = """
import sys
from tidemark.cli import main

assert main({words!r}) == 0
assert "torch" not in sys.modules
"""


def run_python(*words: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(PYTHON)}
    subprocess.run([sys.executable, *words], env=environment, check=True, timeout=300)


def plan_without_torch(step: Path, memory: int, plan: Path) -> None:
    words = ["plan", str(step), "--budget", str(memory), "-o", str(plan)]
    run_python("-c", WITHOUT_TORCH.format(words=words))


@dataclass(frozen=True)
class Files:
    """What the command has written."""

    train: str
    step: Path
    plan: Path
    memory: int


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("saved")
    (folder / "train.py").write_text(TRAIN)
    train = f"{folder / 'train.py'}:make_step"
    step, plan = folder / "step.json", folder / "plan.json"
    run_python("-m", "tidemark", "record", train, "-o", str(step))
    graph = tidemark.StepGraph.load(step)
    least = tidemark.frontier(graph, points=2).least_feasible_bytes
    memory = (least + graph.peak_bytes) // 2
    plan_without_torch(step, memory, plan)
    return Files(train=train, step=step, plan=plan, memory=memory)


@dataclass
class Trained:
    losses: list[float] = field(default_factory=list)
    steps: list[tidemark.StepSummary] = field(default_factory=list)
    graph: tidemark.StepGraph | None = None
    plan: tidemark.Plan | None = None


def train(target: str, memory: int | None, plan: tidemark.Plan | None, steps: int = 6) -> Trained:
    gc.collect()  # what other tests left would be a part of the entry state
    result = Trained()
    step = load_target(target)
    with tidemark.MemoryBudget(memory, plan=plan) as budget:
        for _ in range(steps):
            with budget.step():
                step()
            result.losses.append(step.loss.item())
            result.steps.append(budget.last_step)
        result.graph, result.plan = budget.graph, budget.plan
    return result


def assert_follows(run: Trained, plan: tidemark.Plan, memory: int, stock: Trained) -> None:
    assert run.losses == stock.losses
    assert max(step.peak_bytes for step in run.steps) <= memory
    for step in run.steps[2:]:
        assert step.kind == "planned", step.difference
        assert step.peak_bytes == step.promised_bytes
        assert step.num_replays == plan.num_replays > 0
    assert run.plan is not None
    assert run.plan.to_json() == plan.to_json()


def test_a_step_recorded_by_the_command_is_planned_without_torch_and_followed(
    files: Files,
) -> None:
    saved = tidemark.Plan.load(files.plan)

    stock = train(files.train, None, None)
    loaded = train(files.train, files.memory, saved)

    assert_follows(loaded, saved, files.memory, stock)


def test_a_saved_plan_gives_the_planned_steps_of_planning_in_place(
    files: Files, tmp_path: Path
) -> None:
    stock = train(files.train, None, None)
    in_place = train(files.train, files.memory, None)
    assert in_place.graph is not None
    in_place.graph.save(tmp_path / "step.json")
    plan_without_torch(tmp_path / "step.json", files.memory, tmp_path / "plan.json")
    saved = tidemark.Plan.load(tmp_path / "plan.json")
    loaded = train(files.train, files.memory, saved)

    assert_follows(in_place, saved, files.memory, stock)
    assert_follows(loaded, saved, files.memory, stock)
    assert loaded.steps[2:] == in_place.steps[2:]


def test_a_plan_of_another_step_is_refused_with_the_first_difference(files: Files) -> None:
    other = files.train.replace(":make_step", ":make_other")
    plan = tidemark.Plan.load(files.plan)

    with tidemark.MemoryBudget(None, plan=plan) as budget:
        step = load_target(other)
        with budget.step():
            step()
        summary = budget.last_step

    assert summary.kind == "diverged"
    assert summary.difference.startswith("forward op ")
    assert "another op or other inputs were planned" in summary.difference


def test_the_command_refuses_a_plan_of_another_step(files: Files, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    graph = tidemark.record(load_target(files.train.replace(":make_step", ":make_other")))
    graph.save(other)

    words = ["-m", "tidemark", "simulate", str(other), "--plan", str(files.plan), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(PYTHON)}
    answer = subprocess.run([sys.executable, *words], env=environment, capture_output=True)

    assert answer.returncode == 1
    difference = json.loads(answer.stdout)["violation"]
    assert difference.startswith("the plan was made for another step: At event 0, the op aten::")
