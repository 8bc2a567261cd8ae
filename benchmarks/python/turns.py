"""Processes that train the same in turns, step by step, so that they share the machine's moods."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import torch
from rich.table import Table
from training import Training

_Sample = tuple[float, int]  # seconds and minor page faults of one step


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to run the steps."""

    name: str
    open_budget: Callable[[str], Any]  # from a task's name; None is stock torch
    warm_up_steps: int = 5
    environment: Mapping[str, str] = field(default_factory=dict)  # of its process


def stock(task: str) -> None:
    """Opens no budget."""


def take_turns(task: str, modes: Sequence[Mode], steps: int) -> dict[str, list[_Sample]]:
    """Returns the samples of each mode, one process each."""
    context, connections = multiprocessing.get_context("spawn"), {}
    for mode in modes:
        connections[mode.name], theirs = context.Pipe()
        process = context.Process(
            target=_serve, args=(theirs, task, mode.open_budget, mode.warm_up_steps), daemon=True
        )
        with _environment(mode.environment):
            process.start()
        theirs.close()
    samples: dict[str, list[_Sample]] = {mode.name: [] for mode in modes}
    for _ in range(steps):
        for name, connection in connections.items():
            connection.send(True)
            samples[name].append(connection.recv())
    for connection in connections.values():
        connection.close()
    return samples


def table_of_times(tasks: Sequence[str], modes: Sequence[Mode], steps: int) -> Table:
    """Takes turns with every task; returns medians, and their ratio to the first mode's."""
    table = Table("model", "mode", "step", f"to {modes[0].name}", "minor faults")
    for task in tasks:
        samples = take_turns(task, modes, steps)
        medians = {
            name: tuple(map(statistics.median, zip(*of_mode, strict=True)))
            for name, of_mode in samples.items()
        }
        first = medians[modes[0].name][0]
        for name, (seconds, faults) in medians.items():
            ratio = f"{100 * (seconds / first - 1):+.1f} %"
            table.add_row(task, name, f"{1000 * seconds:.2f} ms", ratio, f"{faults:.0f}")
    return table


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
    run = Training(task, open_budget(task))
    for _ in range(warm_up_steps):
        run.advance()
    with contextlib.suppress(EOFError):
        while connection.recv():
            connection.send(_sample(run))


def _sample(run: Training) -> _Sample:
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    seconds = run.advance()
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
