"""checkpoint and auto_checkpoint: the plain primitive, and a budget in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import torch
from torch.utils.checkpoint import checkpoint as _torch_checkpoint

from tidemark.memory_budget import MemoryBudget

Result = TypeVar("Result")


def checkpoint(fn: Callable[..., Result], *args: Any) -> Result:
    """Runs `fn(*args)` and keeps nothing inside it for backward: backward runs it again.

    Random numbers are the same in both runs. It is `torch.utils.checkpoint.checkpoint` in its
    non-reentrant form; C++ programs use `MemoryBudget`.

    Args:
        fn: what to run; called again in backward.
        args: passed to `fn`.

    Returns:
        What `fn` returns.

    Example:
        >>> import tidemark, torch
        >>> x = torch.ones(3, requires_grad=True)
        >>> tidemark.checkpoint(lambda t: t.exp().sum(), x).backward()
        >>> bool(torch.equal(x.grad, torch.ones(3).exp()))
        True
    """
    result: Result = _torch_checkpoint(fn, *args, use_reentrant=False)
    return result


@contextmanager
def auto_checkpoint(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, memory_budget: int | str
) -> Iterator[MemoryBudget]:
    """Makes every pass of `model` up to `optimizer.step()` a step under `memory_budget`.

    The step begins when the model's forward is called in training mode and ends after the
    optimizer's step. Nothing of the loop changes.

    Args:
        model: the outermost module.
        optimizer: the optimizer whose step ends a training step.
        memory_budget: as `MemoryBudget`'s memory.

    Yields:
        The budget.

    Example:
        >>> import tidemark, torch
        >>> model = torch.nn.Linear(4, 4)
        >>> optimizer = torch.optim.SGD(model.parameters(), 0.1)
        >>> with tidemark.auto_checkpoint(model, optimizer, memory_budget="1 GiB") as budget:
        ...     for _ in range(4):
        ...         loss = model(torch.ones(2, 4)).sum()
        ...         loss.backward()
        ...         optimizer.step()
        ...         optimizer.zero_grad()
        >>> budget.steps.watched + budget.steps.planned
        4
    """
    with MemoryBudget(memory_budget, track=[model, optimizer]) as budget, ExitStack() as current:

        def begin(module: torch.nn.Module, args: object) -> None:
            if module.training and not budget.is_in_step:
                current.enter_context(budget.step())

        def end(*args: object) -> None:
            current.close()

        before = model.register_forward_pre_hook(begin)
        after = optimizer.register_step_post_hook(end)
        try:
            yield budget
        finally:
            before.remove()
            after.remove()
