"""MemoryBudgetCallback: makes every training batch of a Lightning Trainer a step under a budget.

In short: ``lightning.Trainer(callbacks=[MemoryBudgetCallback("20 GiB")]).fit(module, loader)``.
"""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from tidemark.integrations import HookedBudget
from tidemark.memory_budget import MemoryBudget


class MemoryBudgetCallback(Callback):  # type: ignore[misc]  # lightning is not followed
    """Holds training to `memory`; validation and what else happens between batches is left alone.

    A step is what Lightning does with one batch. Under ``accumulate_grad_batches`` batches that
    only accumulate and batches that update are forms of their own, each planned once. Figures of
    the batch (``memory/*``) go to the module's logger.

    Args:
        memory: as `MemoryBudget`'s memory.
        options: as `MemoryBudget`'s keywords.
    """

    def __init__(self, memory: int | str | None, **options: Any) -> None:
        self._steps = HookedBudget(memory, options)

    @property
    def budget(self) -> MemoryBudget | None:
        """Of the fit that runs or has ended; None before the first."""
        return self._steps.budget

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Opens the budget."""
        self._steps.open([pl_module, *trainer.optimizers])

    def on_train_batch_start(self, *unused: object) -> None:
        """Begins a step; its batch has been made."""
        self._steps.begin_step()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *unused: object
    ) -> None:
        """Ends the step and logs its figures."""
        self._steps.end_step()
        pl_module.log_dict(self._steps.figures())

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Ends the step that the exception leaves, and gives the allocator back.

        Raises:
            BudgetExceeded: in place of torch's out-of-memory error, if that is what it was.
        """
        try:
            self._steps.abort_step(exception)
        finally:
            self._steps.close()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gives the allocator back; `budget` stays readable."""
        self._steps.close()
