"""Thin files for training loops that are not the user's own; docs/integrations.md shows each.

Nothing here is imported by `tidemark` itself: the hosts are imported where they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from tidemark.memory_budget import MemoryBudget, Trackable

_GIB = 2**30


class HookedBudget:
    """A budget whose steps begin and end in different calls, as hooks of a host have it.

    Args:
        memory: as `MemoryBudget`'s memory.
        options: as `MemoryBudget`'s keywords.
    """

    def __init__(self, memory: int | str | None, options: dict[str, Any]) -> None:
        self.budget: MemoryBudget | None = None
        """Of the training that runs or has ended; None before the first."""
        self._memory = memory
        self._options = options
        self._step = ExitStack()

    def open(self, track: Iterable[Trackable]) -> None:
        """Begins a training: opens a new budget, in place of one that an exception left open."""
        self.close()
        self.budget = MemoryBudget(self._memory, **{"track": track, **self._options})

    def begin_step(self) -> None:
        """Begins a step; ends the one before, if its host has skipped the end."""
        assert self.budget is not None, "training has begun"
        self._step.close()
        self._step.enter_context(self.budget.step())

    def end_step(self) -> None:
        """Ends the step that runs, if any."""
        self._step.close()

    def abort_step(self, error: BaseException) -> None:
        """Ends the step that `error` leaves, if any.

        Raises:
            BudgetExceeded: in its place, if that is what it was.
        """
        self._step.__exit__(type(error), error, error.__traceback__)

    def close(self) -> None:
        """Ends the step that runs, if any, as one that was cut off; gives the allocator back."""
        self.abort_step(GeneratorExit())
        if self.budget is not None:
            self.budget.close()

    def figures(self) -> dict[str, float]:
        """Returns what a tracker may want to draw of the last step, under torchtitan's names.

        ``memory/max_active(GiB)``, ``memory/num_recomputed_ops`` and, if a plan was followed,
        ``memory/predicted_peak(GiB)``; nothing before the first step has ended.
        """
        if self.budget is None or self.budget.peak_bytes == 0:
            return {}
        last = self.budget.last_step
        result = {
            "memory/max_active(GiB)": last.peak_bytes / _GIB,
            "memory/num_recomputed_ops": float(last.num_replays),
        }
        if last.promised_bytes is not None:
            result["memory/predicted_peak(GiB)"] = last.promised_bytes / _GIB
        return result
