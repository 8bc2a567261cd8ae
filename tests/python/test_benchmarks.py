"""What the benchmarks claim, and that they run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "python"

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """A quick run over the models, by name."""
    out = tmp_path_factory.mktemp("out")
    command = [sys.executable, BENCHMARKS / "budget_vs_throughput.py", "--quick", "--out", out]
    # Threads that wait for each other would measure the other tests' load.
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert (out / "budget_vs_throughput.png").stat().st_size > 0
    found = json.loads((out / "budget_vs_throughput.json").read_text())
    return {each["model"]: each for each in found["results"]}


@pytest.mark.parametrize("model", ["gpt", "resnet", "unet", "lstm"])
def test_planned_and_measured_peaks_agree(result: dict[str, dict], model: str) -> None:
    for point in result[model]["points"]:
        assert "refused" not in point, point
        assert point["measured_peak_bytes"] == point["planned_peak_bytes"]
        assert point["largest_gradient_difference"] == 0
        assert point["parameters_equal"]
        assert point["buffers_equal"]
        assert point["generator_equal"]


def test_auto_is_better_than_checkpointing_by_hand(result: dict[str, dict]) -> None:
    by_hand = result["gpt"]["checkpointing"]

    assert by_hand["time_saved"] >= 0.1
    assert by_hand["activation_bytes_saved"] >= 0.1


def test_e7_every_arena_of_nntrainer_s_list_is_at_its_bound(tmp_path: Path) -> None:
    command = [sys.executable, BENCHMARKS / "nntrainer.py", "--steps", "12", "--out", tmp_path]
    subprocess.run(command, check=True)
    rows = json.loads((tmp_path / "nntrainer.json").read_text())
    assert len(rows) == 10
    for row in rows:
        assert row["bound"] <= row["arena"] <= 1.01 * row["bound"], row
        assert row["arena"] <= min(row["v1"], row["v3"]), row
        assert row["num_fallen_back"] == 0, row
        assert row["num_mappings"] == 1, row


def test_no_published_policy_beats_auto(tmp_path: Path) -> None:
    models = "resnet50,unet,estimated:treelstm,estimated:unrolled_gan"
    command = [sys.executable, BENCHMARKS / "policies.py", "--models", models]
    subprocess.run([*command, "--out", tmp_path], check=True)
    for result in json.loads((tmp_path / "policies.json").read_text()):
        own = result["policies"]["auto"]["overhead"]
        for policy, found in result["policies"].items():
            if policy == "mincut":
                continue  # the same search without the others, which may lead it elsewhere
            for budget, theirs in found["overhead"].items():
                if theirs is not None:
                    assert own[budget] <= theirs + 1e-9, (result["model"], policy, budget)
