"""What several test modules need of pytest."""

from __future__ import annotations

import gc
import os
from collections import defaultdict
from collections.abc import Iterator

import pytest

Figures = defaultdict[float, list[bool]]
_FIGURES = pytest.StashKey[Figures]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("TIDEMARK_TEST_ALL"):
        return
    full = [item for item in items if item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=full)
    items[:] = [item for item in items if item not in full]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FIGURES] = defaultdict(list)


@pytest.fixture
def watched_inside(request: pytest.FixtureRequest) -> Figures:
    """Per share of the range, which watched steps stayed inside; printed at the end."""
    return request.config.stash[_FIGURES]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for share, inside in sorted(config.stash[_FIGURES].items()):
        terminalreporter.write_line(
            f"watched steps inside at {share} of the range: {sum(inside)} of {len(inside)}"
        )


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


@pytest.fixture(scope="module")
def frozen() -> Iterator[None]:
    """What was there before need not be looked at by every run's garbage collection."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
