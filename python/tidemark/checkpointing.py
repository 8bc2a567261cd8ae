"""checkpoint and auto_checkpoint: the plain primitive, and a budget in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import ParamSpec, TypeVar

import torch
from torch.utils import _pytree as pytree

from tidemark import _runtime
from tidemark.memory_budget import MemoryBudget

_torch = _runtime.require()

P = ParamSpec("P")
Result = TypeVar("Result")


def checkpoint(fn: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    """Runs `fn(*args, **kwargs)` and keeps nothing inside it for backward: backward runs it again.

    Gradients are bitwise those without it: the second run finds autocast, the default device, the
    default generators and every `torch.Generator` among the arguments as the first one did. Calls
    nest; `torch.autograd.grad`, `retain_graph`, several backwards and backward inside `fn` work.
    Side effects of `fn` happen twice: a batch norm in training mode updates its running statistics
    in both runs. The second run stops, by an exception, once backward has what it needs.

    Args:
        fn: what to run. It must do the same when it is called again.
        args: passed to `fn`. Tensors in them, also inside lists, tuples and dicts, must not be
            written in place before backward; doing so is autograd's usual error.
        kwargs: likewise.

    Returns:
        What `fn` returns.

    Raises:
        ReplayMismatch: in backward, if the second run saved other tensors than the first; the text
            names the first that differs.
        RuntimeError: saved-tensor hooks are disabled here (under `torch.func`, say).

    Example:
        >>> import tidemark, torch
        >>> x = torch.ones(3, requires_grad=True)
        >>> tidemark.checkpoint(lambda t: t.exp().sum(), x).backward()
        >>> bool(torch.equal(x.grad, torch.ones(3).exp()))
        True
    """
    if not torch.is_grad_enabled() or _torch.is_debugging():
        return fn(*args, **kwargs)
    leaves, structure = pytree.tree_flatten((args, kwargs))
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
    tensors = [leaves[i] for i in places]
    generators = [leaf for leaf in leaves if isinstance(leaf, torch.Generator)]
    for i in places:
        leaves[i] = None  # the runtime holds them, and lets an outer call drop them
    device = torch.get_default_device()

    def run(tensors: list[torch.Tensor]) -> Result:
        filled = list(leaves)
        for i, tensor in zip(places, tensors, strict=True):
            filled[i] = tensor
        again_args, again_kwargs = pytree.tree_unflatten(filled, structure)
        with nullcontext() if torch.get_default_device() == device else device:
            return fn(*again_args, **again_kwargs)

    name = getattr(fn, "__qualname__", type(fn).__qualname__)
    result: Result = _torch.checkpoint(run, tensors, generators, name)
    return result


@contextmanager
def auto_checkpoint(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, memory_budget: int | str
) -> Iterator[MemoryBudget]:
    """Makes every pass of `model` up to `optimizer.step()` a step under `memory_budget`.

    The step begins when the model's forward is called in training mode and ends after the
    optimizer's step. Nothing of the loop changes. An error that the loop catches ends no step: what
    it does next belongs to the same one, up to the next `optimizer.step()`.

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
