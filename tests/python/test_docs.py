"""Examples in docstrings run as they are written, beside a recorded step called step.json."""

import doctest
import importlib
import shutil
from pathlib import Path

import pytest

STEP = Path(__file__).parent.parent / "data" / "mlp3.json"
MODULES = (
    *("tidemark", "tidemark.bytes", "tidemark.cli", "tidemark.doctor", "tidemark.errors"),
    *("tidemark.frontier", "tidemark.graph", "tidemark.plan", "tidemark.report"),
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
