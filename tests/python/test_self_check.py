"""The self-check: silent where torch is as expected, and precise where something is broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from tidemark import _runtime
from tidemark.doctor import examine

HERE = Path(__file__).parent

TAKE_THE_KEY = """
library = torch.library.Library("_", "IMPL", "Fake")
library.fallback(lambda op, *args, **kwargs: NotImplemented, "Fake")
"""

# A composite op becomes a leaf, a write is not counted, a batch norm without running statistics
# computes something else, a generator's state is not what decides, and another allocator stays.
BREAK_WHAT_CAN_BE_BROKEN = """
import counting_allocator

def batch_norm(x, weight, bias, mean, var, training, momentum, eps):
    result = torch.ops.aten._native_batch_norm_legit.no_stats(x, weight, bias, True, momentum, eps)
    return (result[0] + (0 if mean is not None else 1e-3), *result[1:])

drawn = []

def normal(x, mean=0, std=1, generator=None):
    drawn.append(0)
    return x.fill_(len(drawn))

library = torch.library.Library("aten", "IMPL")
library.impl("square", lambda x: torch.mul(x, x), "CPU")
library.impl("add_.Scalar", torch.library.fallthrough_kernel, "ADInplaceOrView")
library.impl("add_.Tensor", torch.library.fallthrough_kernel, "ADInplaceOrView")
library.impl("native_batch_norm", batch_norm, "CPU")
library.impl("normal_", normal, "CPU")
counting_allocator.install(priority=2)
"""

AMBIENT = """
from contextlib import ExitStack
import tidemark
with ExitStack() as stack:
    stack.enter_context(torch.inference_mode())
    stack.enter_context(torch.no_grad())
    stack.enter_context(torch.autocast("cpu"))
    stack.enter_context(torch.autograd.graph.disable_saved_tensors_hooks("disabled"))
    stack.enter_context(torch.device("meta"))
    tidemark.MemoryBudget(None).close()
"""

TRY = """
import json, time
import tidemark
from tidemark import _runtime

torch.ones(1, requires_grad=True).exp().backward()
started = time.process_time()
problems = _runtime.require().self_check()
milliseconds = 1e3 * (time.process_time() - started)
try:
    text = ""
    tidemark.MemoryBudget("1 GiB")
except tidemark.NotSupported as error:
    text = str(error)
print(json.dumps([{name: p for name, p in problems.items() if p}, text, milliseconds]))
"""


def run(script: str) -> tuple[dict[str, str], str, float]:
    """Returns the problems found in a new process, how a budget is refused, and the check's ms."""
    path = os.pathsep.join([str(HERE.parents[1] / "python"), str(HERE)])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "import torch\n" + script + TRY],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    problems, text, milliseconds = json.loads(done.stdout)
    return problems, text, milliseconds


def test_what_is_broken_is_named_and_nothing_else() -> None:
    problems, text, _ = run(BREAK_WHAT_CAN_BE_BROKEN)

    assert problems == {
        "ops below autograd": "the tap sees composite ops",
        "version counters": "three writes in place counted as 1",
        "allocator": "an allocator of higher priority keeps ours out",
        "batch norm": "a batch norm without running statistics gives other bits",
        "generators": "a generator put back to a state draws other numbers",
    }
    assert "(ops below autograd): the tap sees composite ops; planning still works" in text
    assert f"torch {torch.__version__.partition('+')[0]}" in text


def test_a_dispatch_key_that_is_taken_ends_the_check() -> None:
    problems, text, _ = run(TAKE_THE_KEY)

    assert problems == {
        "dispatch key": "this torch already owns the dispatch key Fake, which Tidemark's tap needs"
    }
    assert "owns the dispatch key Fake" in text


def test_a_mode_of_the_caller_takes_no_part() -> None:
    assert run(AMBIENT)[:2] == ({}, "")


def test_it_finds_nothing_in_milliseconds() -> None:
    problems, text, milliseconds = run("")

    assert (problems, text) == ({}, "")
    assert milliseconds < 100  # about ten, in fact; this is no benchmark
    print(milliseconds)


def test_the_doctor_prints_every_assumption_and_how_long_it_took() -> None:
    checked = _runtime.require().self_check()

    found = examine()

    assert len(checked) >= 9
    assert found.is_healthy
    assert {name: found.works[name] for name in checked} == dict.fromkeys(checked, True)
