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
from typing import Any, NamedTuple

import tidemark
import torch
from rich.table import Table
from training import Training


class _Sample(NamedTuple):
    seconds: float  # of one step
    minor_faults: int  # in it
    most_resident: int  # bytes of the whole process so far


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
    ratio_to_first = f"to {modes[0].name}"
    table = Table("model", "mode", "step", ratio_to_first, "minor faults", "most resident")
    for task in tasks:
        samples = take_turns(task, modes, steps)
        medians = {
            name: _Sample(*map(statistics.median, zip(*of_mode, strict=True)))
            for name, of_mode in samples.items()
        }
        first = medians[modes[0].name].seconds
        for name, (seconds, faults, _) in medians.items():
            ratio = f"{100 * (seconds / first - 1):+.1f} %"
            resident = tidemark.format_bytes(samples[name][-1].most_resident)
            table.add_row(task, name, f"{1000 * seconds:.2f} ms", ratio, f"{faults:.0f}", resident)
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
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return _Sample(seconds, usage.ru_minflt - faults, 1024 * usage.ru_maxrss)
