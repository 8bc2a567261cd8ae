"""Processes that train the same in turns, so that they share the machine's moods.

A turn is a few steps in a row, as a training loop makes them; the first, which finds the caches
full of what the others left there, is not counted. Where a process lies in memory makes it a few
percent faster or slower than its like, so that there are several sets of processes. All run on one
core: two are seldom equally fast.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import tidemark
import torch
from rich.table import Table
from training import Training


class _Sample(NamedTuple):
    seconds: float  # of one step
    minor_faults: int  # in it
    most_resident: int  # bytes of the whole process so far


_STEPS_PER_TURN = 10
_NUM_SETS = 5


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to run the steps."""

    name: str
    open_budget: Callable[[str], Any]  # from a task's name; None is stock torch
    warm_up_steps: int = 5
    environment: Mapping[str, str] = field(default_factory=dict)  # of its process


def stock(task: str) -> None:
    """Opens no budget."""


def take_turns(task: str, modes: Sequence[Mode], steps: int) -> dict[str, list[list[_Sample]]]:
    """Returns the samples of each mode by turn, at least `steps` in all, by one process each."""
    context, connections = multiprocessing.get_context("spawn"), {}
    for mode in modes:
        connections[mode.name], theirs = context.Pipe()
        process = context.Process(
            target=_serve, args=(theirs, task, mode.open_budget, mode.warm_up_steps), daemon=True
        )
        with _environment(mode.environment):
            process.start()
        theirs.close()
    for connection in connections.values():  # until all are warm: they share a core
        connection.send(0)
        connection.recv()
    turns: dict[str, list[list[_Sample]]] = {mode.name: [] for mode in modes}
    for _ in range(-(-steps // (_STEPS_PER_TURN - 1))):
        for name, connection in connections.items():
            connection.send(_STEPS_PER_TURN)
            turns[name].append(connection.recv()[1:])
    for connection in connections.values():
        connection.close()
    return turns


def table_of_times(tasks: Sequence[str], modes: Sequence[Mode], steps: int) -> Table:
    """Takes turns with every task, `steps` or a few more in all.

    Returns median times, and per mode how they compare to the first mode's of the same round of
    turns: the median of a set's rounds; of the sets, the median and the lowest and the highest.
    """
    ratio_to_first = f"to {modes[0].name}"
    table = Table("model", "mode", "step", ratio_to_first, "minor faults", "most resident")
    for task in tasks:
        sets = [take_turns(task, modes, -(-steps // _NUM_SETS)) for _ in range(_NUM_SETS)]
        for mode in modes:
            samples = [sample for turns in sets for turn in turns[mode.name] for sample in turn]
            seconds, faults, resident = map(statistics.median, zip(*samples, strict=True))
            slower = sorted(_slower(turns[mode.name], turns[modes[0].name]) for turns in sets)
            table.add_row(
                task,
                mode.name,
                f"{1000 * seconds:.2f} ms",
                f"{statistics.median(slower):+.1f} % ({slower[0]:+.1f} to {slower[-1]:+.1f})",
                f"{faults:.0f}",
                tidemark.format_bytes(int(resident)),
            )
    return table


def _slower(turns: Sequence[Sequence[_Sample]], others: Sequence[Sequence[_Sample]]) -> float:
    """Returns by how many percent `turns` are slower, round by round."""

    def median_time(turn: Sequence[_Sample]) -> float:
        return statistics.median(sample.seconds for sample in turn)

    rounds = zip(turns, others, strict=True)
    return 100 * (statistics.median(median_time(a) / median_time(b) for a, b in rounds) - 1)


@contextlib.contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _serve(
    connection: Connection, task: str, open_budget: Callable[[str], Any], warm_up_steps: int
) -> None:
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    run = Training(task, open_budget(task))
    for _ in range(warm_up_steps):
        run.advance()
    with contextlib.suppress(EOFError):
        while True:
            connection.send([_sample(run) for _ in range(connection.recv())])


def _sample(run: Training) -> _Sample:
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    seconds = run.advance()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return _Sample(seconds, usage.ru_minflt - faults, 1024 * usage.ru_maxrss)
