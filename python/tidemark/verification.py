"""verify: runs a step with and without a budget and compares everything, bit for bit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch

from tidemark.memory_budget import MemoryBudget

_State = dict[str, torch.Tensor | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What two runs of the same steps gave."""

    num_steps: int
    """Steps of each run."""
    num_planned: int
    """How many of those under the budget followed a plan."""
    differences: tuple[str, ...]
    """What was not bitwise equal: "step 3: gradient of fc.weight", ..."""

    @property
    def is_exact(self) -> bool:
        """Whether everything was equal."""
        return not self.differences

    def __str__(self) -> str:
        head = f"{self.num_steps} steps, {self.num_planned} planned: "
        return head + ("bitwise equal" if self.is_exact else "; ".join(self.differences))


def verify(
    make_step: Callable[[], tuple[torch.nn.Module, Callable[[], object]]],
    budget: int | str | None,
    *,
    steps: int = 5,
) -> Verification:
    """Runs `steps` steps without and with `budget` and compares them bitwise.

    Args:
        make_step: builds everything anew, equal every time (seed it), and returns the model and a
            callable that runs one step and may return the loss.
        budget: as `MemoryBudget`'s memory.
        steps: how many; the first two are watched.

    Returns:
        A `Verification`: losses, parameters, gradients, buffers and generator state after each
        step are compared with `torch.equal`.

    Example:
        >>> import tidemark, torch
        >>> def make_step():
        ...     torch.manual_seed(0)
        ...     model = torch.nn.Linear(4, 4)
        ...     def step():
        ...         model.zero_grad()
        ...         loss = model(torch.rand(2, 4)).sum()
        ...         loss.backward()
        ...         return loss
        ...     return model, step
        >>> print(tidemark.verify(make_step, None))
        5 steps, 3 planned: bitwise equal
    """
    expected: list[_State] = []
    differences: list[str] = []

    def note(state: _State) -> None:
        expected.append({name: copy.deepcopy(tensor) for name, tensor in state.items()})

    def compare(state: _State) -> None:
        # At once, and without copies, which would count.
        number, before = next(numbered)
        differences.extend(
            f"step {number}: {name}" for name in before if not _equal(before[name], state.get(name))
        )

    generator_state = torch.get_rng_state()
    _run(make_step, steps, None, note)
    torch.set_rng_state(generator_state)
    numbered = enumerate(expected)
    with MemoryBudget(budget) as held:
        _run(make_step, steps, held, compare)
        num_planned = held.steps.planned
    torch.set_rng_state(generator_state)
    return Verification(num_steps=steps, num_planned=num_planned, differences=tuple(differences))


def _run(
    make_step: Callable[[], tuple[torch.nn.Module, Callable[[], object]]],
    steps: int,
    budget: MemoryBudget | None,
    look: Callable[[_State], None],
) -> None:
    model, step = make_step()
    for _ in range(steps):
        with budget.step() if budget is not None else nullcontext():
            loss = step()
        look(_state_of(model, loss))


def _state_of(model: torch.nn.Module, loss: object) -> _State:
    result: _State = {"generator state": torch.get_rng_state()}
    if isinstance(loss, torch.Tensor):
        result["loss"] = loss.detach()
    for name, parameter in model.named_parameters():
        result[f"parameter {name}"] = parameter.detach()
        result[f"gradient of {name}"] = parameter.grad
    for name, buffer in model.named_buffers():
        result[f"buffer {name}"] = buffer
    return result


def _equal(before: torch.Tensor | None, after: torch.Tensor | None) -> bool:
    if before is None or after is None:
        return before is after
    return bool(torch.equal(before, after))
