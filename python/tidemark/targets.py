"""TARGET of the command line: ``train.py:make_step``, a function that builds a training step."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

Build = Callable[[Callable[[], object]], object]


def load_target(target: str, build: Build | None = None) -> Callable[[], object]:
    """Calls the function that `target` names and returns the step it has built.

    Args:
        target: "path/train.py:make_step" or "package.module:make_step". The function takes no
            arguments, builds model, data and optimizer, and returns a callable that runs one
            training step.
        build: calls it instead; for models without data.

    Returns:
        The callable.

    Raises:
        ValueError: the target is misspelt, names nothing, or returns no callable.

    Example:
        >>> load_target("train.py")
        Traceback (most recent call last):
        ...
        ValueError: 'train.py' names no function; write for example 'train.py:make_step'
    """
    where, colon, name = target.rpartition(":")
    if not (colon and where and name.isidentifier()):
        raise ValueError(f"{target!r} names no function; write for example 'train.py:make_step'")
    make_step = getattr(_load_module(where), name, None)
    if not callable(make_step):
        raise ValueError(f"{where} has no function {name!r}")
    step = make_step() if build is None else build(make_step)
    if not callable(step):
        raise ValueError(
            f"{target} returned {type(step).__name__}; it must return a callable that runs one step"
        )
    return step  # type: ignore[no-any-return]  # whatever it takes and returns


def _load_module(where: str) -> ModuleType:
    path = Path(where)
    if path.suffix != ".py":
        sys.path.insert(0, str(Path.cwd()))  # as python -m does
        return _import(where)
    if not path.is_file():
        raise ValueError(f"there is no file {where!r}")
    # Its folder comes first, as for a script, so that it finds the modules beside it.
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{where!r} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ValueError(f"there is no module {name!r}") from None
