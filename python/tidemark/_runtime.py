"""Loads the half of Tidemark that runs inside torch, or says clearly why it cannot."""

from __future__ import annotations

import importlib
from types import ModuleType

from tidemark import _core
from tidemark.errors import NotSupported


def require() -> ModuleType:
    """Returns ``tidemark._torch``.

    Raises:
        ImportError: torch or the module is missing, or the two do not match. The text names both
            versions and what to do; planning works without.
    """
    version = _torch_version()
    try:
        return importlib.import_module("tidemark._torch")
    except ImportError as error:
        raise ImportError(explain(error, version)) from error


def require_sound() -> ModuleType:
    """As `require`, for what runs steps: torch must do what the runtime rests on.

    Raises:
        NotSupported: it does not; the text says what. Tried once per process, in milliseconds.
    """
    module = require()
    module.self_check()
    obstacle = module.self_check_obstacle()
    if obstacle:
        raise NotSupported(f"tidemark: {obstacle}")
    return module


def explain(error: ImportError, found: str) -> str:
    """Returns the text for an `error` met while loading ``_torch`` beside torch `found`."""
    built = _core.torch_version
    if isinstance(error, ModuleNotFoundError) and error.name == "tidemark._torch":
        what = f"tidemark was built without its runtime (tidemark._torch); torch {found} is here"
    elif built and built.partition("+")[0] != found.partition("+")[0]:
        what = f"tidemark was built for torch {built} and found torch {found} ({error})"
    else:
        what = f"tidemark._torch does not load beside torch {found} ({error})"
    return (
        f"{what}.\n"
        "  to build it for this torch: pip install --no-build-isolation --no-cache-dir tidemark\n"
        "  planning works without it: tidemark.plan, tidemark.frontier, tidemark.simulate"
    )


def _torch_version() -> str:
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        raise ImportError(
            f"tidemark's runtime needs torch, which cannot be imported here ({error}).\n"
            f"  to install the torch it was built for: {_pip_line()}\n"
            "  planning works without it: tidemark.plan, tidemark.frontier, tidemark.simulate"
        ) from error
    return str(torch.__version__)


def _pip_line() -> str:
    version = _core.torch_version.partition("+")[0]
    return f"pip install torch=={version}" if version else "pip install torch==2.13.0"
