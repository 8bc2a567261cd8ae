"""Trains a small GPT with Lightning, its steps held to a memory budget.

Usage: python examples/python/lightning_trainer.py [BUDGET], e.g. "28 MiB"
"""

from __future__ import annotations

import sys
from itertools import islice

import torch
from gpt import Gpt, GptConfig, Text
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from tidemark.integrations.lightning import MemoryBudgetCallback
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

CONTEXT = 64


class Writer(LightningModule):
    """Learns to write like the manual."""

    def __init__(self, text: Text) -> None:
        super().__init__()
        self.gpt = Gpt(GptConfig(vocabulary=text.vocabulary, layers=4, width=96, context=CONTEXT))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Returns the loss of one batch."""
        x, y = batch
        loss = functional.cross_entropy(self.gpt(x).flatten(0, 1), y.flatten())
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Returns the optimizer."""
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


def train(callbacks: list[Callback], batches: int = 12, accumulate: int = 1) -> LightningModule:
    seed_everything(0, verbose=False)
    text = Text.of_the_python_manual()
    module = Writer(text)
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", callbacks=callbacks, accumulate_grad_batches=accumulate,
        logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    data = list(islice(text.batches(8, CONTEXT, seed=1), batches))
    trainer.fit(module, DataLoader(data, batch_size=None))
    return module


def main() -> None:
    callback = MemoryBudgetCallback(sys.argv[1] if len(sys.argv) > 1 else "28 MiB")
    train([callback])
    assert callback.budget is not None, "fit() opened it"
    print(callback.budget.report())


if __name__ == "__main__":
    main()
