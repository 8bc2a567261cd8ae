"""What several test modules need of pytest."""

from __future__ import annotations

import gc
import os
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest

_WATCHED = "watched steps inside"

NoteWatched = Callable[[float, bool], None]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("TIDEMARK_TEST_ALL"):
        return
    full = [item for item in items if item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=full)
    items[:] = [item for item in items if item not in full]


@pytest.fixture
def note_watched(record_property: Callable[[str, object], None]) -> NoteWatched:
    """Notes at which share of the range a step was watched, and whether it stayed inside.

    Counted at the end, wherever the test ran.
    """
    return lambda share, is_inside: record_property(_WATCHED, (share, is_inside))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    watched: defaultdict[float, list[bool]] = defaultdict(list)
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == _WATCHED:
                watched[value[0]].append(value[1])
    for share, inside in sorted(watched.items()):
        terminalreporter.write_line(
            f"{_WATCHED} at {share} of the range: {sum(inside)} of {len(inside)}"
        )


@pytest.fixture
def press_ctrl_c_soon() -> Iterator[Callable[[], None]]:
    """A function: 50 ms after its call KeyboardInterrupt is raised as by Ctrl-C."""

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    def press() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.05)

    before = signal.signal(signal.SIGALRM, interrupt)
    yield press
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def counter() -> Iterator[None]:
    """Puts the tests' own allocator under Tidemark's; one thread, for steady bits."""
    import counting_allocator
    import torch

    counting_allocator.install()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", autouse=True)
def frozen() -> Iterator[None]:
    """What was there before need not be looked at by the collection when a budget opens."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
