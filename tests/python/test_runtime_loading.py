"""What `import tidemark` needs, and what it says when the torch half cannot be loaded."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import tidemark
from tidemark import _core, _runtime
from tidemark.doctor import Diagnosis, examine

PYTHON = Path(__file__).parent.parent.parent / "python"


def run(script: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(PYTHON)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_tidemark_does_not_import_torch() -> None:
    assert run("import sys, tidemark; print('torch' in sys.modules)") == "False\n"


def test_without_torch_a_runtime_name_says_so() -> None:
    text = run(
        "import sys; sys.modules['torch'] = None\n"
        "import tidemark\n"
        "try: tidemark.MemoryBudget\n"
        "except ImportError as error: print(error)"
    )
    assert "tidemark's runtime needs torch" in text
    assert "planning works without it" in text


def test_a_mismatch_names_both_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core, "torch_version", "2.9.1")

    text = _runtime.explain(ImportError("undefined symbol: c10"), "2.13.0+cpu")

    assert "built for torch 2.9.1 and found torch 2.13.0+cpu (undefined symbol: c10)" in text


def test_a_missing_runtime_is_told_from_a_broken_one() -> None:
    missing = ModuleNotFoundError("no module", name="tidemark._torch")

    assert "without its runtime" in _runtime.explain(missing, "2.13.0")
    assert "does not load" in _runtime.explain(ImportError("odd"), _core.torch_version or "2.13.0")


def test_unknown_names_are_attribute_errors() -> None:
    assert not hasattr(tidemark, "no_such_name")
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = tidemark.no_such_name


def test_budget_exceeded_is_an_out_of_memory_error_of_torch() -> None:
    torch = pytest.importorskip("torch")

    error = tidemark.BudgetExceeded("no room", missing_bytes=7, op="aten::mm")

    assert isinstance(error, torch.OutOfMemoryError)
    assert (error.missing_bytes, error.op, error.optimizer_has_begun) == (7, "aten::mm", False)


def test_the_doctor_finds_planning_and_is_healthy_only_without_problems() -> None:
    found = examine()

    assert found.works["planning"]
    assert found.is_healthy == (not found.problems)
    assert not Diagnosis(problems=["no torch"]).is_healthy


@pytest.mark.parametrize(("obstacle", "works"), [("", True), ("the key is taken", False)])
def test_the_doctor_repeats_what_the_self_check_says(
    monkeypatch: pytest.MonkeyPatch, obstacle: str, works: bool
) -> None:
    pytest.importorskip("torch")
    runtime = SimpleNamespace(self_check=lambda: {"dispatch key": obstacle})
    monkeypatch.setattr(_runtime, "require", lambda: runtime)

    found = examine()

    assert found.works["dispatch key"] is found.works["runtime"] is found.is_healthy is works
    assert works or "dispatch key: the key is taken" in found.problems
