"""Trains a small GPT-2 with `transformers.Trainer`, its steps held to a memory budget.

Usage: python examples/python/hugging_trainer.py [BUDGET], e.g. "28 MiB"
"""

from __future__ import annotations

import sys
import tempfile

import torch
from gpt import Text
from tidemark.integrations.transformers import TidemarkCallback
from torch.utils.data import Dataset
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

CONTEXT = 64


class Windows(Dataset[dict[str, torch.Tensor]]):
    """The text, cut into windows."""

    def __init__(self, text: Text) -> None:
        self.windows = text.tokens[: len(text.tokens) // CONTEXT * CONTEXT].view(-1, CONTEXT)

    def __len__(self) -> int:
        """Returns the number of windows."""
        return len(self.windows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Returns one; the model shifts the labels."""
        return {"input_ids": self.windows[index], "labels": self.windows[index]}


def make_model(text: Text) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=text.vocabulary, n_positions=CONTEXT, n_embd=96, n_layer=4, n_head=4,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return GPT2LMHeadModel(config)


def train(callbacks: list[TrainerCallback], steps: int = 12, accumulate: int = 2) -> Trainer:
    text = Text.of_the_python_manual()
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            folder, max_steps=steps, per_device_train_batch_size=8, logging_steps=4, seed=1,
            gradient_accumulation_steps=accumulate, save_strategy="no", report_to=[], use_cpu=True,
            disable_tqdm=True,
        )  # fmt: skip
        model = make_model(text)
        trainer = Trainer(model, args, train_dataset=Windows(text), callbacks=callbacks)
        trainer.train()
    return trainer


def main() -> None:
    callback = TidemarkCallback(sys.argv[1] if len(sys.argv) > 1 else "28 MiB")
    train([callback])
    assert callback.budget is not None, "train() opened it"
    print(callback.budget.report())


if __name__ == "__main__":
    main()
