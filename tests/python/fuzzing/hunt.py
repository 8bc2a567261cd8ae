"""Looks for programs that differ: isolated, shrunk to a short one, written to a file.

Each program runs in a process of its own, forked from one that has loaded torch and run nothing:
it finds every library as it was at the start, and may crash or hang.
"""

from __future__ import annotations

import gc
import hashlib
import math
import os
import pickle
import signal
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings

from fuzzing.judge import Difference, Verdict, attempt, judge
from fuzzing.programs import programs

SECONDS_PER_PROGRAM = 60
PROGRAMS_PER_ROUND = 100

T = TypeVar("T")


def run_isolated(source: str) -> Verdict:
    """Judges a program in a child process.

    Raises:
        Difference: it differs, crashes or does not come to its end.
    """
    verdict, code = in_child(lambda: judged(source))
    if isinstance(verdict, Verdict):
        return verdict
    if verdict is not None:
        raise Difference(*verdict)
    if in_child(lambda: attempt(load(source), None).error_name)[0] is None:
        return Verdict(True, [], "crash of torch itself", "")
    raise Difference("crash", f"its process ended with {code}")


def in_child(function: Callable[[], T]) -> tuple[T | None, int]:
    """Returns what the function gives in a child process, None if it crashes; and its exit code."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.alarm(SECONDS_PER_PROGRAM)
        warnings.simplefilter("ignore")
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(pickle.dumps(function()))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return (pickle.loads(answer) if answer else None), code


def load(source: str) -> dict[str, object]:
    """Runs the module that a program is."""
    program: dict[str, object] = {"__name__": "program"}
    exec(compile(source, "program.py", "exec"), program)
    return program


def judged(source: str) -> Verdict | tuple[str, str]:
    """Returns the verdict, or the kind and the text of a difference."""
    try:
        return judge(load(source))
    except Difference as difference:
        return difference.kind, difference.text
    except Exception:
        return "judge", traceback.format_exc()


@dataclass
class Findings:
    """How many programs ran, and those that differ."""

    num_programs: int = 0
    num_dynamic: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    """What ended programs before their last step, in stock torch or under the budget."""
    num_replays: int = 0
    num_served: int = 0
    num_in_backward: int = 0
    num_in_place: int = 0
    """Modules."""
    differences: Counter[str] = field(default_factory=Counter)
    files: list[Path] = field(default_factory=list)

    def note(self, verdict: Verdict) -> None:
        self.num_programs += 1
        self.num_dynamic += verdict.is_dynamic
        self.steps.update(verdict.kinds)
        self.ends.update(filter(None, [verdict.error, verdict.refusal]))
        self.num_replays += verdict.num_replays
        self.num_served += verdict.num_served
        self.num_in_backward += verdict.switches.in_backward
        self.num_in_place += len(verdict.switches.inplace)

    def __str__(self) -> str:
        def counts(counter: Counter[str]) -> str:
            return ", ".join(f"{n} {what}" for what, n in sorted(counter.items())) or "none"

        return (
            f"{self.num_programs} programs ({self.num_dynamic} dynamic), "
            f"steps: {counts(self.steps)}; {self.num_replays} replays, "
            f"{self.num_served} allocations served; {self.num_in_place} modules in place, "
            f"{self.num_in_backward} programs updated in backward; "
            f"ended early: {counts(self.ends)}; differences: {counts(self.differences)}"
        )


@cache
def type_of(kind: str) -> type[Difference]:
    """Another type of exception is another failure to hypothesis, and shrunk by itself."""
    return type(kind, (Difference,), {})


def hunt_round(
    first_seed: int,
    num_programs: int,
    findings: Findings,
    *,
    until: float = math.inf,
    shrinks: bool = True,
) -> None:
    """Runs `num_programs` programs of one seed; of a kind of difference, the first is shrunk."""
    found: dict[str, tuple[str, str]] = {}
    gc.unfreeze()
    gc.collect()  # what rounds leave behind must not be frozen with the rest
    gc.freeze()  # the collector need not look at all of torch in every child

    @seed(first_seed)
    @settings(
        max_examples=num_programs,
        database=None,
        deadline=None,
        print_blob=False,
        phases=[Phase.generate, *([Phase.shrink] if shrinks else [])],
        suppress_health_check=list(HealthCheck),
    )
    @given(programs())
    def check(source: str) -> None:
        if time.monotonic() > until and not found:
            return
        try:
            findings.note(run_isolated(source))
        except Difference as difference:
            if findings.differences[difference.kind]:
                findings.differences[difference.kind] += 1
                return
            found[difference.kind] = (source, str(difference))
            raise type_of(difference.kind)(difference.kind, difference.text) from None

    try:
        check()
    except BaseException as error:
        if not found:
            raise
        del error
    for kind, (source, text) in found.items():
        findings.differences[kind] += 1
        findings.files.append(write(kind, source, text, first_seed))


def write(kind: str, source: str, text: str, first_seed: int) -> Path:
    """Keeps a program that differs; it runs as it is, with tests/python on the path."""
    folder = Path("out/fuzz")
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(source.encode()).hexdigest()[:8]
    path = folder / f"{kind.replace(' ', '_')}_{name}.py"
    comment = "".join(f"# {line}\n" for line in f"seed {first_seed}: {text}".splitlines())
    path.write_text(comment + source)
    return path
