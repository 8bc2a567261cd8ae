"""Two gloo processes on one machine, a budget each: the weights of the same run without."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "python" / "many_processes.py"
RANK = re.compile(
    r"^rank (\d): weights (\w+)(?:, (\d+) watched, (\d+) planned, peak (\d+) B, (\d+) ops.*)?$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Rank:
    """What one process has printed."""

    weights: str
    planned: int = 0
    peak_bytes: int = 0
    num_replays: int = 0


@cache
def run(*words: str) -> dict[int, Rank]:
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
         str(EXAMPLE), *words],
        env={**os.environ, "PYTHONPATH": str(ROOT / "python"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {
        int(rank): Rank(weights, *(int(figure or 0) for figure in figures))
        for rank, weights, _, *figures in RANK.findall(done.stdout)
    }


KINDS = {"DistributedDataParallel": (), "fully_shard": ("--sharded",)}


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_the_same_and_every_rank_is_inside(kind: str) -> None:
    stock = run(*KINDS[kind])

    found = run(*KINDS[kind], "--budget", "27 MiB")

    assert sorted(found) == [0, 1]
    for rank in found:
        assert found[rank].weights == stock[rank].weights
        assert found[rank].peak_bytes <= 27 << 20
        assert found[rank].planned >= 2
        assert found[rank].num_replays > 0


@pytest.mark.parametrize("kind", KINDS)
def test_ranks_may_have_different_budgets_since_no_collective_runs_again(kind: str) -> None:
    """A rank that ran a collective once more than the other would wait for it for ever."""
    stock = run(*KINDS[kind])

    found = run(*KINDS[kind], "--budget", "26 MiB", "64 MiB")

    assert [found[rank].weights for rank in (0, 1)] == [stock[rank].weights for rank in (0, 1)]
    assert found[0].num_replays > found[1].num_replays == 0
    assert found[0].peak_bytes <= 26 << 20
