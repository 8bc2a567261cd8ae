"""doctor: what is here, what works, what is risky."""

from __future__ import annotations

import importlib.util
import platform
import time
from dataclasses import dataclass, field

import tidemark
from tidemark import _core, _runtime

_SUPPORTED = ("2.11", "2.12", "2.13")
_OPTIONAL = ("matplotlib", "scipy", "transformers")


@dataclass(kw_only=True, slots=True)
class Diagnosis:
    """What `examine` found."""

    versions: dict[str, str] = field(default_factory=dict)
    """What is installed, by name."""
    works: dict[str, bool] = field(default_factory=dict)
    """What was tried, and whether it works."""
    problems: list[str] = field(default_factory=list)
    """Why the runtime cannot work here."""
    risks: list[str] = field(default_factory=list)
    """What works but deserves a look."""
    self_check_ms: float = 0.0
    """How long the runtime took to check itself; 0 if it did not."""

    @property
    def is_healthy(self) -> bool:
        """Whether the runtime can work here."""
        return not self.problems


def examine() -> Diagnosis:
    """Looks at versions, loads the runtime and lets it check itself.

    Returns:
        What was found. Nothing is raised: a runtime that does not load is a finding.

    Example:
        >>> examine().works["planning"]
        True
    """
    found = Diagnosis()
    found.versions = _versions()
    found.works["planning"] = "auto" in tidemark.policies()
    _examine_torch(found)
    _examine_runtime(found)
    return found


def _versions() -> dict[str, str]:
    from importlib import metadata

    versions = {"tidemark": tidemark.__version__, "python": platform.python_version()}
    versions["built for torch"] = _core.torch_version or "no torch"
    for name in _OPTIONAL:
        if importlib.util.find_spec(name):
            versions[name] = metadata.version(name)
    return versions


def _examine_torch(found: Diagnosis) -> None:
    try:
        import torch
    except ImportError as error:
        found.works["torch"] = False
        found.problems.append(f"torch cannot be imported: {error}")
        return
    found.works["torch"] = True
    found.versions["torch"] = torch.__version__
    if ".".join(torch.__version__.split(".")[:2]) not in _SUPPORTED:
        found.risks.append(
            f"torch {torch.__version__} is untested; tested are {', '.join(_SUPPORTED)}"
        )
    if torch.cuda.is_available():
        found.versions["cuda device"] = torch.cuda.get_device_name()
    if not torch.are_deterministic_algorithms_enabled() and torch.cuda.is_available():
        found.risks.append(
            "kernels that are not deterministic differ from run to run, with Tidemark or without; "
            "torch.use_deterministic_algorithms(True) rules them out"
        )


def _examine_runtime(found: Diagnosis) -> None:
    found.works["runtime"] = False
    try:
        module = _runtime.require()
    except ImportError as error:
        found.problems.append(str(error))
        return
    started = time.perf_counter()
    problems = module.self_check()
    found.self_check_ms = 1e3 * (time.perf_counter() - started)
    for name, problem in problems.items():
        _take(name, not problem, problem, found)
    found.works["runtime"] = not found.problems


def _take(name: str, works: bool, problem: str, found: Diagnosis) -> None:
    found.works[name] = works
    if not works:
        found.problems.append(f"{name}: {problem}")
