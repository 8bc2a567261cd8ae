"""Trains a small GPT in a loop prepared by accelerate, each step held to a memory budget.

Usage: python examples/python/accelerate_loop.py [BUDGET], e.g. "28 MiB"
       accelerate launch --num_processes 2 --cpu examples/python/accelerate_loop.py
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from itertools import islice

import tidemark
import torch
from accelerate import Accelerator
from gpt import Gpt, GptConfig, Text
from torch.nn import functional
from torch.utils.data import DataLoader

CONTEXT = 64


def train(budget: tidemark.MemoryBudget | None, batches: int = 12) -> torch.nn.Module:
    accelerator = Accelerator(cpu=True)
    text = Text.of_the_python_manual()
    torch.manual_seed(0)
    model = Gpt(GptConfig(vocabulary=text.vocabulary, layers=4, width=96, context=CONTEXT))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loader = DataLoader(list(islice(text.batches(8, CONTEXT, seed=1), batches)), batch_size=None)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    for x, y in loader:
        with budget.step() if budget else nullcontext():
            loss = functional.cross_entropy(model(x).flatten(0, 1), y.flatten())
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
    return accelerator.unwrap_model(model)


def main() -> None:
    with tidemark.MemoryBudget(sys.argv[1] if len(sys.argv) > 1 else "28 MiB") as budget:
        train(budget)
        print(budget.report())


if __name__ == "__main__":
    main()
