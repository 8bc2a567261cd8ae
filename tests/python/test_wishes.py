import json

import pytest
import tidemark
from tidemark.cli import main


@pytest.fixture(scope="module")
def graph() -> tidemark.StepGraph:
    return tidemark.generate("unet", batch=2, optimizer="none")


def test_wishes_are_honoured_and_shown_in_the_plan(graph: tidemark.StepGraph) -> None:
    made = tidemark.plan(graph, graph.peak_bytes, keep=["down1"], recompute=("relu_",)[:0])
    assert made.keep == ("down1",)

    made = tidemark.plan(graph, graph.peak_bytes, recompute=["down2", "up1.conv"])

    assert made.num_replays > 0
    assert made.recompute == ("down2", "up1.conv")
    assert tidemark.validate(graph, made) is None
    assert "as asked  recompute down2, up1.conv" in str(made)
    assert tidemark.Plan.from_json(made.to_json()).recompute == made.recompute


def test_wishes_that_exclude_each_other_say_why(graph: tidemark.StepGraph) -> None:
    with pytest.raises(ValueError, match="keep and recompute both name op"):
        tidemark.plan(graph, graph.peak_bytes, keep=["down*"], recompute=["down2"])
    with pytest.raises(ValueError, match="outermost modules are bottom, down1"):
        tidemark.plan(graph, graph.peak_bytes, keep=["encoder"])
    with pytest.raises(ValueError, match="expected a sequence"):
        tidemark.plan(graph, graph.peak_bytes, keep="down1")


def test_least_memory_stays_within_the_slowdown(
    graph: tidemark.StepGraph, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    step = f"{tmp_path}/step.json"
    graph.save(step)

    assert main(["plan", step, "--max-slowdown", "1.1", "--keep", "down1", "--json"]) == 0

    summary = json.loads(capsys.readouterr().out)
    assert summary["overhead"] <= 0.1
    assert summary["peak_bytes"] == summary["budget_bytes"] < graph.peak_bytes
    assert summary["keep"] == ["down1"]


def test_the_largest_batch_has_a_plan_for_its_step() -> None:
    small, large = (tidemark.generate("resnet18", batch=b, optimizer="none") for b in (4, 8))

    found = tidemark.max_batch(small, large, "1 GiB", batches=(4, 8), policy="lookahead")

    assert found.batch > 1.5 * found.unplanned_batch
    assert found.plan is not None
    assert found.plan.peak_bytes <= 2**30
    assert found.plan.overhead <= 0.33
    assert found.micro_batches(16 * found.batch) == 16
