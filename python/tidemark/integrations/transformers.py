"""TidemarkCallback: makes every training step of a `transformers.Trainer` a step under a budget.

In short: ``Trainer(model, args, train_dataset=data, callbacks=[TidemarkCallback("20 GiB")])``.
"""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from tidemark.errors import NotSupported
from tidemark.integrations import HookedBudget
from tidemark.memory_budget import MemoryBudget


class TidemarkCallback(TrainerCallback):  # type: ignore[misc]  # transformers is not followed
    """Holds the steps of a Trainer to `memory`, gradient accumulation included.

    Figures of the step before (``memory/*``) are added to what the Trainer logs, for the callbacks
    that come after this one and for ``trainer.state.log_history``.

    A Trainer tells its callbacks nothing of exceptions. After one that was caught outside of
    ``train()``, call `close`; the next ``train()`` does so too.

    Args:
        memory: as `MemoryBudget`'s memory.
        options: as `MemoryBudget`'s keywords.

    Raises:
        NotSupported: when the Trainer is made or training begins, if gradient checkpointing is on.
    """

    def __init__(self, memory: int | str | None, **options: Any) -> None:
        self._steps = HookedBudget(memory, options)

    @property
    def budget(self) -> MemoryBudget | None:
        """Of the training that runs or has ended; None before the first."""
        return self._steps.budget

    def close(self) -> None:
        """Ends the step that an exception has left, and gives the allocator back."""
        self._steps.close()

    def on_init_end(self, args: TrainingArguments, *unused: object, **facts: Any) -> None:
        """Refuses gradient checkpointing before anything has run."""
        names = (
            "gradient_checkpointing",
            "activation_checkpointing",
        )  # old, new
        hosts = (args, *facts["model"].modules())
        if any(getattr(host, name, False) for host in hosts for name in names):
            raise NotSupported(
                "TidemarkCallback together with gradient_checkpointing=True: every layer would be "
                "recomputed, needed or not, and nothing be left to choose for Tidemark.\n"
                "  to go on: gradient_checkpointing=False, or leave the callback out"
            )

    def on_train_begin(self, args: TrainingArguments, *unused: object, **facts: Any) -> None:
        """Opens the budget."""
        self.on_init_end(args, **facts)
        self._steps.open([facts["model"], facts["optimizer"]])

    def on_step_begin(self, *unused: object, **facts: Any) -> None:
        """Begins a step; its batches have been made."""
        self._steps.begin_step()

    def on_step_end(self, *unused: object, **facts: Any) -> None:
        """Ends the step, after the optimizer's and before logs, evaluation and saves."""
        self._steps.end_step()

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **facts: Any
    ) -> None:
        """Adds the figures of the last step."""
        facts["logs"].update(self._steps.figures())
        state.log_history[-1].update(self._steps.figures())

    def on_train_end(self, *unused: object, **facts: Any) -> None:
        """Gives the allocator back; `budget` stays readable."""
        self._steps.close()
