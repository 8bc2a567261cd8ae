"""optimizer_in_backward: each parameter is updated as soon as its gradient is complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.nn.utils import clip_grad

from tidemark.errors import NotSupported

_SUPPORTED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)


class _Updates:
    """What is known of one optimizer while it works in backward."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        # Below the wrapper that runs the user's step hooks: those belong to the user's own call.
        self.update: Callable[[torch.optim.Optimizer], Any] = type(optimizer).step.__wrapped__
        self.group_of = {
            parameter: group for group in optimizer.param_groups for parameter in group["params"]
        }
        self.updated: set[torch.Tensor] = set()

    def apply(self, parameter: torch.Tensor) -> None:
        """Updates one parameter by the optimizer's own code, and frees its gradient."""
        if parameter in self.updated:
            raise NotSupported(
                "tidemark.optimizer_in_backward: a second backward has reached a parameter that "
                "was updated since the last optimizer.step(). Gradients cannot be accumulated "
                "over several passes when none is kept: add the losses up, or take it off."
            )
        groups = self.optimizer.param_groups
        group = {**self.group_of[parameter], "params": [parameter]}
        self.optimizer.param_groups = [group]
        try:
            self.update(self.optimizer)
        finally:
            self.optimizer.param_groups = groups
        self.updated.add(parameter)
        parameter.grad = None

    def begin_step(self, optimizer: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Before the user's own step, which finds no gradients and changes nothing."""
        if len(args) > 1 or kwargs.get("closure") is not None:
            raise NotSupported(
                "tidemark.optimizer_in_backward: optimizer.step(closure) runs backward inside the "
                "step, which would update parameters twice. Call backward before, and step()."
            )

    def end_step(self, *args: object) -> None:
        self.updated.clear()


@contextmanager
def optimizer_in_backward(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Updates each parameter as soon as its gradient is complete, and frees the gradient at once.

    Instead of all gradients only one lives at a time. The loop stays as it is and must still call
    ``optimizer.step()``, which finds nothing left to do, once per backward; weights and optimizer
    state are bitwise what they would be. ``parameter.grad`` is None after backward.

    Args:
        optimizer: an SGD, Adam or AdamW of torch, with any options.

    Raises:
        NotSupported: at entry: another optimizer, or two parameters in one storage. While it is
            on: gradients are clipped or accumulated, the loss is scaled, or a closure is given. The
            text says why, and what to do instead.

    Example:
        >>> import tidemark, torch
        >>> model = torch.nn.Linear(4, 4)
        >>> optimizer = torch.optim.AdamW(model.parameters())
        >>> with tidemark.optimizer_in_backward(optimizer):
        ...     model(torch.ones(2, 4)).sum().backward()
        ...     optimizer.step()
        >>> model.weight.grad is None
        True
    """
    updates = _Updates(optimizer)
    _check(optimizer, updates.group_of)
    with ExitStack() as undo:
        for parameter in updates.group_of:
            if parameter.requires_grad:
                hook = parameter.register_post_accumulate_grad_hook(updates.apply)
                undo.callback(hook.remove)
        undo.callback(optimizer.register_step_pre_hook(updates.begin_step).remove)
        undo.callback(optimizer.register_step_post_hook(updates.end_step).remove)
        _forbid_clipping(undo, updates)
        _forbid_scaling(undo)
        yield


def _check(optimizer: torch.optim.Optimizer, parameters: dict[torch.Tensor, Any]) -> None:
    if type(optimizer) not in _SUPPORTED:
        raise NotSupported(
            f"tidemark.optimizer_in_backward: {type(optimizer).__name__} may look at several "
            "gradients at once; SGD, Adam and AdamW of torch.optim are known not to."
        )
    storages = {parameter.untyped_storage().data_ptr() for parameter in parameters}
    if len(storages) < len(parameters):
        raise NotSupported(
            "tidemark.optimizer_in_backward: two parameters lie in one storage, so that updating "
            "one of them would change what the other's gradient is computed from. Use one "
            "parameter in both places: its gradient is complete only once."
        )


def _forbid_clipping(undo: ExitStack, updates: _Updates) -> None:
    def refuse(gradients: Any) -> None:
        tensors = [gradients] if isinstance(gradients, torch.Tensor) else list(gradients)
        if not any(tensor in updates.group_of for tensor in tensors):
            return
        raise NotSupported(
            "tidemark.optimizer_in_backward: gradients cannot be clipped, they are gone: each was "
            "applied before the norm of all of them was known. Take it off to clip."
        )

    by_norm, by_value = clip_grad._clip_grads_with_norm_, clip_grad.clip_grad_value_

    def clip_by_norm(parameters: Any, *args: Any, **kwargs: Any) -> None:
        refuse(parameters)
        by_norm(parameters, *args, **kwargs)

    def clip_by_value(parameters: Any, *args: Any, **kwargs: Any) -> None:
        refuse(parameters)
        by_value(parameters, *args, **kwargs)

    _replace(undo, clip_grad, "_clip_grads_with_norm_", clip_by_norm)
    _replace(undo, clip_grad, "clip_grad_value_", clip_by_value)
    _replace(undo, torch.nn.utils, "clip_grad_value_", clip_by_value)


def _forbid_scaling(undo: ExitStack) -> None:
    scale = torch.amp.GradScaler.scale

    def refuse(scaler: torch.amp.GradScaler, outputs: Any) -> Any:
        if scaler.is_enabled():
            raise NotSupported(
                "tidemark.optimizer_in_backward: a scaled loss gives scaled gradients, which would "
                "be applied before they are unscaled. Train in bfloat16, which needs no scaler."
            )
        return scale(scaler, outputs)

    _replace(undo, torch.amp.GradScaler, "scale", refuse)


def _replace(undo: ExitStack, owner: Any, name: str, value: Any) -> None:
    undo.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, value)
