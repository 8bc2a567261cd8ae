import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tidemark
from tidemark.cli import build_parser, main
from tidemark.targets import load_target

STEP = str(Path(__file__).parent.parent / "data" / "mlp3.json")
PYTHON = Path(__file__).parent.parent.parent / "python"


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, object]:
    code = main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_plan_writes_a_plan_that_simulate_accepts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = str(tmp_path / "plan.json")

    code, plan = run_json(capsys, "plan", STEP, "--budget", "740KiB", "-o", out)
    assert code == 0
    assert plan["peak_bytes"] <= plan["budget_bytes"] == 740 * 1024  # type: ignore[index]

    code, result = run_json(capsys, "simulate", STEP, "--plan", out)
    assert code == 0
    assert result["peak_bytes"] == plan["peak_bytes"]  # type: ignore[index]
    assert {"at", "cost_ns"} <= set(result)  # type: ignore[arg-type]


def test_ctrl_c_is_an_exit_code_and_no_traceback(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, press_ctrl_c_soon: Callable[[], None]
) -> None:
    step = tmp_path / "step.json"
    tidemark.generate("densenet121", batch=256).save(step)

    press_ctrl_c_soon()

    assert main(["frontier", str(step), "--points", "200"]) == 130
    assert capsys.readouterr().err.strip() == "tidemark: interrupted"


def test_an_infeasible_budget_exits_with_one_and_prints_the_least(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, answer = run_json(capsys, "plan", STEP, "--budget", "1KiB")

    assert code == 1
    assert answer["least_feasible_bytes"] > 1024  # type: ignore[index]
    assert main(["plan", STEP, "--budget", "1KiB"]) == 1
    assert "infeasible: budget 1.00 KiB" in capsys.readouterr().out


def test_a_plan_for_another_step_exits_with_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    other.write_text(Path(STEP).read_text().replace("aten::relu_", "aten::gelu_"))
    out = str(tmp_path / "plan.json")
    assert main(["plan", STEP, "--budget", "740KiB", "-o", out]) == 0
    capsys.readouterr()

    code, answer = run_json(capsys, "simulate", str(other), "--plan", out)

    assert code == 1
    assert "aten::gelu_" in answer["violation"]  # type: ignore[index]


def test_frontier_is_a_list_of_plans_and_draws_one_picture(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "curve.svg"

    code, plans = run_json(capsys, "frontier", STEP, "--points", "3", "--plot", str(picture))

    assert code == 0
    assert [plan["policy"] for plan in plans][-1] == "keep_all"  # type: ignore[attr-defined]
    assert "<svg" in picture.read_text()


def test_frontier_takes_budgets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["frontier", STEP, "--budgets", "1KiB,1MiB"]) == 0
    text = capsys.readouterr().out
    assert "1.00 KiB" in text
    assert "no plan" in text


def test_texts_answer_first_and_end_with_the_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", STEP, "--budget", "740KiB"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("fits      yes")
    assert lines[-1].startswith("next: ")

    assert main(["simulate", STEP]) == 0
    assert "live bytes |" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["plan", STEP, "--budget", "6 gigs"],
        ["plan", STEP, "--budget", "1MiB", "--policy", "magic"],
        ["plan", "nowhere.json", "--budget", "1MiB"],
        ["simulate", __file__],
        ["frontier", STEP, "--points", "0"],
    ],
)
def test_mistakes_exit_with_two_and_one_text(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.startswith("tidemark: ")


@pytest.mark.parametrize("words", [[], ["dance"], ["plan", STEP]])
def test_misspelt_words_exit_with_two(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    "command", ["record", "estimate", "plan", "frontier", "simulate", "pack", "doctor"]
)
def test_every_help_has_worked_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert f"\n  tidemark {command}" in text
    assert "exit code: 0" in text


def test_planning_never_imports_torch(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    script = f"""
import sys
from tidemark.cli import main
assert main(["plan", {STEP!r}, "--budget", "740KiB", "-o", {str(plan)!r}]) == 0
assert main(["frontier", {STEP!r}, "--points", "2"]) == 0
assert main(["simulate", {STEP!r}, "--plan", {str(plan)!r}]) == 0
assert "torch" not in sys.modules, "torch was imported"
"""
    environment = {**os.environ, "PYTHONPATH": str(PYTHON)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=120)


def test_a_target_is_built_by_its_function(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("ANSWER = 42\n")
    script = tmp_path / "train.py"
    script.write_text("import helper\ndef make_step():\n    return lambda: helper.ANSWER\n")

    step = load_target(f"{script}:make_step")

    assert step() == 42


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("train.py", "names no function"),
        ("nowhere.py:make_step", "there is no file"),
        ("no_such_module_here:make_step", "there is no module"),
        ("json:no_such_function", "has no function"),
        ("gc:collect", "returned int"),
    ],
)
def test_a_wrong_target_says_what_is_wrong(target: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        load_target(target)


def test_the_parser_knows_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["--version"])
    assert capsys.readouterr().out.startswith("tidemark 0.")


TRAIN = """
import torch

def make_step():
    model = torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.GELU(), torch.nn.Linear(32, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.ones(64, 32)

    def step():
        loss = model(x).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step
"""


@pytest.fixture
def train(tmp_path: Path) -> str:
    (tmp_path / "train.py").write_text(TRAIN)
    return f"{tmp_path / 'train.py'}:make_step"


def test_a_recorded_step_can_be_planned(
    train: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = str(tmp_path / "step.json")

    code, graph = run_json(capsys, "record", train, "-o", step)
    assert code == 0
    assert graph["num_ops"] > 10  # type: ignore[index]

    peak = graph["peak_bytes"]  # type: ignore[index]
    code, plan = run_json(capsys, "plan", step, "--budget", str(peak))
    assert code == 0
    assert plan["recompute_ns"] == 0  # type: ignore[index]


BIG = """
import torch

def make_step():
    model = torch.nn.Linear(200_000, 200_000)
    x = torch.ones(64, 200_000)
    return lambda: model(x).sum().backward()
"""


def test_a_step_can_be_recorded_on_fake_tensors(
    train: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake, real = str(tmp_path / "fake.json"), str(tmp_path / "real.json")

    code, graph = run_json(capsys, "record", train, "-o", fake, "--fake", "cpu")
    assert code == 0
    assert graph["is_estimate"]  # type: ignore[index]

    _, recorded = run_json(capsys, "record", train, "-o", real)
    for figure in ("peak_bytes", "num_ops", "num_values", "num_events"):
        assert graph[figure] == recorded[figure]  # type: ignore[index]


def test_whether_a_step_fits_is_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "big.py").write_text(BIG)
    big = f"{tmp_path / 'big.py'}:make_step"

    code, needed = run_json(capsys, "estimate", big, "--fits", "80GiB")
    assert code == 1
    assert needed["peak_bytes"] > 2 * 4 * 200_000**2  # type: ignore[index]
    assert needed["at_peak"]["by_category"]["Parameter"] == 4 * (200_000**2 + 200_000)  # type: ignore[index]
    assert needed["fits"] is False  # type: ignore[index]

    assert main(["estimate", big, "--fits", "500GiB"]) == 0
    assert "fits in 500.00 GiB" in capsys.readouterr().out
    assert main(["estimate", big]) == 0
    assert main(["estimate", big, "--device", "cuda"]) == 2
    assert "'cuda'" in capsys.readouterr().err
