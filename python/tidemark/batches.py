"""max_batch: how many samples fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from tidemark import _core
from tidemark.bytes import parse_bytes
from tidemark.graph import StepGraph
from tidemark.plan import Plan, check_repeatable


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class MaxBatch:
    """What `max_batch` found."""

    batch: int
    """The largest batch with a plan; 0 if not even one sample fits."""
    unplanned_batch: int
    """The largest batch that fits with everything kept."""
    plan: Plan | None
    """The plan of the step at `batch`; None if there is none."""

    def micro_batches(self, batch: int) -> int:
        """Returns into how many steps of at most `self.batch` samples a batch must be split.

        Args:
            batch: samples whose gradients are to be accumulated.

        Returns:
            The number of steps.

        Raises:
            ValueError: not even one sample fits.

        Example:
            >>> MaxBatch(batch=24, unplanned_batch=16, plan=None).micro_batches(100)
            5
        """
        if self.batch == 0:
            raise ValueError("not even one sample fits, so no batch can be split to fit")
        return -(-batch // self.batch)


def max_batch(
    small: StepGraph,
    large: StepGraph,
    budget: int | str,
    *,
    batches: tuple[int, int],
    max_slowdown: float = 1.33,
    policy: str = "auto",
    time_limit: float = 10.0,
) -> MaxBatch:
    """Finds the largest batch that trains within a budget, from one step at two batches.

    Sizes and costs are taken as linear in the batch; the ops must be the same at both.

    Args:
        small: the step at one batch.
        large: the step at another.
        budget: bytes as an int, or a size such as "6 GiB".
        batches: the two batches.
        max_slowdown: how many times as long as unplanned the step of that batch may take.
        policy: as for `tidemark.plan`, but for "exact".
        time_limit: as for `tidemark.plan`, for every batch that is tried.

    Returns:
        The batch, its plan, and the batch that fits without one.

    Raises:
        ValueError: the two are not one step at two batches (the first difference is named), or an
            argument is out of range.

    Example:
        >>> import tidemark
        >>> steps = [tidemark.generate("resnet18", batch=b) for b in (8, 16)]
        >>> found = max_batch(*steps, "2 GiB", batches=(8, 16), policy="lookahead")
        >>> found.batch > 1.5 * found.unplanned_batch
        True
    """
    check_repeatable(policy)
    first, second = batches
    found = _core.max_batch(
        small._handle,
        first,
        large._handle,
        second,
        parse_bytes(budget),
        max_slowdown,
        policy,
        time_limit,
    )
    if found.batch == 0:
        return MaxBatch(batch=0, unplanned_batch=found.unplanned_batch, plan=None)
    graph = StepGraph(_core.step_at_batch(small._handle, first, large._handle, second, found.batch))
    return MaxBatch(
        batch=found.batch,
        unplanned_batch=found.unplanned_batch,
        plan=Plan(found.plan, graph),
    )
