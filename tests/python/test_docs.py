"""Examples in docstrings run as they are written, beside a recorded step called step.json."""

import doctest
import importlib
import re
import shutil
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
STEP = ROOT / "tests" / "data" / "mlp3.json"
MODULES = (
    *("tidemark", "tidemark.bytes", "tidemark.cli", "tidemark.doctor", "tidemark.errors"),
    *(
        "tidemark.frontier",
        "tidemark.graph",
        "tidemark.packing",
        "tidemark.plan",
        "tidemark.report",
    ),
    *("tidemark.simulation", "tidemark.targets"),
    *("tidemark.memory_budget", "tidemark.recording"),
    *("tidemark.verification", "tidemark.checkpointing"),
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run_as_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(STEP, tmp_path / "step.json")
    monkeypatch.chdir(tmp_path)

    failed, _ = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.ELLIPSIS, verbose=False
    )

    assert failed == 0


def test_every_public_function_has_an_example() -> None:
    import tidemark

    torch_half = set(tidemark._RUNTIME) | {"BudgetExceeded"}
    for name in set(tidemark.__all__) - torch_half:
        thing = getattr(tidemark, name)
        if callable(thing) and not isinstance(thing, type):
            assert ">>>" in (thing.__doc__ or ""), name


def test_the_readme_s_python_runs_as_written(capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    found = re.search(r"^## In Python\n((?:\n|    .*\n)+)", README, re.MULTILINE)
    assert found is not None
    model = torch.nn.Linear(8, 4)
    names = {
        "loader": [(torch.randn(16, 8), torch.randint(0, 4, (16,)))] * 5,
        "loss_fn": torch.nn.CrossEntropyLoss(),
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), 0.1),
    }

    exec(textwrap.dedent(found[1]), names)
    names["budget"].close()

    assert names["budget"].steps.planned == 3
    assert "steps     2 watched, 3 planned" in capsys.readouterr().out


def test_the_readme_names_what_there_is() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    commands = re.findall(r"^    make ([a-z-]+)", README, re.MULTILINE)
    files = re.findall(r"\]\(([^)]+)\)", README)
    scripts = re.findall(r"python ((?:examples|benchmarks)/\S+\.py)", README)

    assert commands
    assert set(commands) <= set(targets)
    assert [name for name in files + scripts if not (ROOT / name).exists()] == []
