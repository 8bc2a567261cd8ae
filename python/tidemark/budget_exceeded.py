"""BudgetExceeded, apart from the other errors because it needs torch."""

from __future__ import annotations

import torch


class BudgetExceeded(torch.OutOfMemoryError):  # type: ignore[misc]  # torch is not followed
    """A watched step needed more bytes than the budget has, and nothing was left to give back.

    It is raised before the memory is taken. Parameters and optimizer state are what they were
    before the step unless ``optimizer_has_begun``; the next step works.
    """

    missing_bytes: int
    """How many bytes more the allocation needed."""
    budget_bytes: int
    """The budget."""
    op: str
    """The op that allocated, empty if unknown."""
    optimizer_has_begun: bool
    """Whether parameters had been written in this step."""

    def __init__(
        self,
        message: str,
        *,
        missing_bytes: int = 0,
        budget_bytes: int = 0,
        op: str = "",
        optimizer_has_begun: bool = False,
    ) -> None:
        super().__init__(message)
        self.missing_bytes = missing_bytes
        self.budget_bytes = budget_bytes
        self.op = op
        self.optimizer_has_begun = optimizer_has_begun
