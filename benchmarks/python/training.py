"""Training loops for the benchmarks: here, or without Tidemark in a process of their own."""

from __future__ import annotations

import multiprocessing
import time
from contextlib import nullcontext
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
from models import TASKS
from torch.nn import functional

Arrays = list[np.ndarray]


class Training:
    """One run of a task, advanced step by step, under a `MemoryBudget` or none."""

    def __init__(self, name: str, budget: Any = None) -> None:
        torch.manual_seed(1)
        task = TASKS[name]()
        self.model, self.budget = task.model, budget
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3)
        self._loop = self._train(task.inputs, task.targets)

    def _train(self, inputs: torch.Tensor, targets: torch.Tensor) -> Any:
        while True:
            with self.budget.step() if self.budget else nullcontext():
                self.optimizer.zero_grad()
                logits = self.model(inputs)
                if logits.ndim == 3 and targets.shape == logits.shape[:2]:
                    logits = logits.transpose(1, 2)
                loss = functional.cross_entropy(logits, targets)
                loss.backward()
                self.optimizer.step()
            yield

    def advance(self) -> float:
        """Runs one step and returns its seconds."""
        started = time.perf_counter()
        next(self._loop)
        return time.perf_counter() - started

    def close(self) -> None:
        """Ends the loop, which refers to this run: a later budget would count what it holds."""
        self._loop.close()

    def state(self) -> dict[str, Arrays]:
        """Returns copies of everything that must not differ, as arrays."""
        model = self.model
        return {
            "gradients": [each.grad.numpy().copy() for each in model.parameters()],
            "parameters": [each.detach().numpy().copy() for each in model.parameters()],
            "buffers": [each.numpy().copy() for each in model.buffers()],
            "generator": [torch.get_rng_state().numpy()],
        }


class StockTraining:
    """The same in a process that never opens a budget: torch's own allocator, nobody listening."""

    def __init__(self, name: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, name), daemon=True)
        self._process.start()
        theirs.close()

    def restart(self) -> None:
        """Begins the run again, from the first step."""
        self._ask("restart")

    def advance(self) -> float:
        """Runs one step there and returns its seconds."""
        return self._ask("advance")

    def state(self) -> dict[str, Arrays]:
        """Returns what `Training.state` does."""
        return self._ask("state")

    def close(self) -> None:
        """Ends the process."""
        self._connection.close()
        self._process.join()

    def _ask(self, what: str) -> Any:
        self._connection.send(what)
        return self._connection.recv()


def _serve(connection: Connection, name: str) -> None:
    # The first call of MKL's vector functions is imprecise now and then if two threads make it.
    torch.ones(1).exp()
    run = Training(name)
    while True:
        try:
            asked = connection.recv()
        except EOFError:
            return
        if asked == "restart":
            run = Training(name)
        connection.send(None if asked == "restart" else getattr(run, asked)())
