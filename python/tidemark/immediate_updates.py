"""optimizer_in_backward: each parameter is updated as soon as its gradient is complete."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import torch
from torch.nn.utils import clip_grad

from tidemark import _runtime
from tidemark.errors import NotSupported

_torch = _runtime.require()

_SUPPORTED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)

Group: TypeAlias = torch.nn.Module | Iterable[torch.Tensor]
_BeforeUpdate: TypeAlias = Callable[[list[torch.Tensor]], object]


class _Updates:
    """What is known of one optimizer while it works in backward."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        groups: Iterable[Group],
        before_update: _BeforeUpdate | None,
    ) -> None:
        self.optimizer = optimizer
        # Below the wrapper that runs the user's step hooks: those belong to the user's own call.
        self.update: Callable[[torch.optim.Optimizer], Any] = type(optimizer).step.__wrapped__
        self.before_update = before_update
        # By place: load_state_dict makes the optimizer's own groups anew.
        self.place_of = {
            parameter: place
            for place, options in enumerate(optimizer.param_groups)
            for parameter in options["params"]
        }
        self.together_with = _together(self.place_of, groups)
        self.complete: set[torch.Tensor] = set()
        self.may_be_clipped: list[torch.Tensor] = []

    def note_gradient(self, parameter: torch.Tensor) -> None:
        """The gradient of one parameter is complete: the last of a group updates all of it."""
        if parameter in self.complete:
            raise NotSupported(
                "tidemark.optimizer_in_backward: a second backward has reached a parameter that "
                "had its gradient since the last optimizer.step(). Gradients cannot be accumulated "
                "over several passes when none is kept: add the losses up, or take it off."
            )
        self.complete.add(parameter)
        together = self.together_with[parameter]
        if self.complete.issuperset(together) and not _torch.is_debugging():
            self.prepare(together)
            self.apply(together)

    def prepare(self, together: list[torch.Tensor]) -> None:
        """Lets the user look at the gradients of a group, and clip them."""
        if self.before_update is None:
            return
        self.may_be_clipped = together
        try:
            self.before_update(together)
        finally:
            self.may_be_clipped = []

    def apply(self, together: list[torch.Tensor]) -> None:
        """Updates parameters by the optimizer's own code, and frees their gradients."""
        groups = self.optimizer.param_groups
        self.optimizer.param_groups = [
            {**groups[place], "params": [p for p in together if self.place_of[p] == place]}
            for place in sorted({self.place_of[p] for p in together})
        ]
        try:
            self.update(self.optimizer)
        finally:
            self.optimizer.param_groups = groups
        for parameter in together:
            parameter.grad = None

    def begin_step(self, optimizer: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Before the user's own step, which finds only gradients of groups that lack one."""
        if len(args) > 1 or kwargs.get("closure") is not None:
            raise NotSupported(
                "tidemark.optimizer_in_backward: optimizer.step(closure) runs backward inside the "
                "step, which would update parameters twice. Call backward before, and step()."
            )
        if self.before_update is None:
            return
        for together in {id(each): each for each in self.together_with.values()}.values():
            left = [parameter for parameter in together if parameter.grad is not None]
            if left:
                self.prepare(left)

    def end_step(self, *args: object) -> None:
        self.complete.clear()


def _together(
    parameters: Iterable[torch.Tensor], groups: Iterable[Group]
) -> dict[torch.Tensor, list[torch.Tensor]]:
    """Returns the parameters that each is updated with, itself among them."""
    trained = {parameter for parameter in parameters if parameter.requires_grad}
    result: dict[torch.Tensor, list[torch.Tensor]] = {}
    for index, group in enumerate(groups):
        members = group.parameters() if isinstance(group, torch.nn.Module) else group
        together = [parameter for parameter in members if parameter in trained]
        if not together or not result.keys().isdisjoint(together):
            what = "shares a parameter with another" if together else "has none of the optimizer's"
            raise ValueError(f"optimizer_in_backward: group {index} {what}")
        result.update(dict.fromkeys(together, together))
    return {parameter: [parameter] for parameter in trained} | result


@contextmanager
def optimizer_in_backward(
    optimizer: torch.optim.Optimizer,
    *,
    groups: Iterable[Group] = (),
    before_update: _BeforeUpdate | None = None,
) -> Iterator[None]:
    """Updates each parameter as soon as its gradient is complete, and frees the gradient at once.

    Instead of all gradients only one lives at a time, or those of one group. The loop stays as it
    is and must still call ``optimizer.step()``, which finds nothing left to do, once per backward;
    weights and optimizer state are bitwise what they would be. ``parameter.grad`` is None after
    backward. One thing is not seen: a backward of the user's own that reads ``weight.data`` of a
    weight to which it gives no gradient may meet it updated.

    Args:
        optimizer: an SGD, Adam or AdamW of torch, with any options.
        groups: modules, or sets of parameters, whose parameters are updated together, once all of
            their gradients are complete. What a backward gives to a group of which a parameter gets
            none is left to ``optimizer.step()``.
        before_update: called with the parameters that are about to be updated, a group or a single
            one, while their gradients are there: to clip them layer by layer, for example.

    Raises:
        NotSupported: at entry: another optimizer, or two parameters in one storage. While it is
            on: gradients are clipped elsewhere or accumulated, the loss is scaled, or a closure is
            given, or backward needs a weight as it was before its update: a retained graph is gone
            through again. The text says why, and what to do instead.
        ValueError: a group has no parameter of the optimizer, or shares one with another.

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
    updates = _Updates(optimizer, groups, before_update)
    _check(optimizer, updates.place_of)
    with ExitStack() as undo:
        for parameter in updates.together_with:
            hook = parameter.register_post_accumulate_grad_hook(updates.note_gradient)
            undo.callback(hook.remove)
        undo.callback(optimizer.register_step_pre_hook(updates.begin_step).remove)
        undo.callback(optimizer.register_step_post_hook(updates.end_step).remove)
        _forbid_clipping(undo, updates)
        _forbid_scaling(undo)
        _explain_old_weights(undo, updates)
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
        owned = [tensor for tensor in tensors if tensor in updates.place_of]
        if {*owned} <= {*updates.may_be_clipped}:
            return
        raise NotSupported(
            "tidemark.optimizer_in_backward: gradients cannot be clipped, they are gone: each was "
            "applied before the norm of all of them was known. Take it off to clip, or clip those "
            "of each layer by `groups` and `before_update`."
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


def _explain_old_weights(undo: ExitStack, updates: _Updates) -> None:
    def explaining(run: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(run)
        def explained(*args: Any, **kwargs: Any) -> Any:
            try:
                return run(*args, **kwargs)
            except RuntimeError as error:
                is_old = "modified by an inplace operation" in str(error)
                if not (is_old and updates.complete) or isinstance(error, NotSupported):
                    raise
                raise NotSupported(
                    "tidemark.optimizer_in_backward: backward needs a tensor as it was before it "
                    "was written to. A weight is, as soon as its gradient is complete, so a graph "
                    "cannot be gone through again (retain_graph=True), nor read a weight detached. "
                    "Add the losses up and call backward once, or take it off. If no weight is "
                    f"meant, the model writes to the tensor itself. Autograd says: {error}"
                ) from error

        return explained

    for name in ("backward", "grad"):
        _replace(undo, torch.autograd, name, explaining(getattr(torch.autograd, name)))


def _replace(undo: ExitStack, owner: Any, name: str, value: Any) -> None:
    undo.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, value)
