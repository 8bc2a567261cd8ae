"""What `make fuzz` has found, shortened by hand; each failed before its fix."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from fuzzing.judge import judge
from torch import nn
from torch.utils.checkpoint import checkpoint
from training_loops import Loop

pytestmark = pytest.mark.usefixtures("counter")


def train(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
    loop.model.calls += 1
    loop.optimizer.zero_grad()
    loss = loop.model(x).square().mean()
    loss.backward()
    loop.optimizer.step()
    loop.named.loss = loss.detach()


class Model(nn.Module):
    """A forward pass after a linear layer; `calls` counts the steps."""

    def __init__(self, forward: Callable[[Model, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.calls = 0
        self.linear = nn.Linear(8, 8)
        self.rest = forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rest(self, self.linear(x))


def assert_same(
    forward: Callable[[Model, torch.Tensor], torch.Tensor], *, share: float, policy: str = "auto"
) -> None:
    def make() -> Loop:
        model = Model(forward)
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        return Loop(model, optimizer, lambda: (torch.randn(64, 8), torch.zeros(())))

    settings = {"SHARE": share, "POLICY": policy, "HAS_PRIOR": True, "IS_DYNAMIC": True}
    judge({"make": make, "step": train, **settings})


@pytest.mark.parametrize("policy", ["auto", "lookahead"])
def test_a_step_changes_to_a_plan_only_if_that_has_nothing_left_undone(policy: str) -> None:
    # The other form's plan would have kept a value that was gone at the op where they part.
    def forward(model: Model, x: torch.Tensor) -> torch.Tensor:
        for _ in range(3):
            x = (x.exp().clamp(max=3) * 0.5).repeat(1, 2).contiguous()[:, :8]
            x = x.repeat_interleave(2, 0)
        if model.calls % 2:
            return -x
        return nn.functional.mish(x).sin()

    assert_same(forward, share=0.5, policy=policy)


def test_a_scalar_that_a_plan_keeps_is_not_taken_for_the_programs() -> None:
    # Recorded under a plan made before, the step seemed to hold the host's scalars to its end.
    class TwoOutputs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0
            self.first, self.norm, self.last = nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(x)
            y = self.norm(x) + 1.0 + 1.0
            y = self.last(y.lerp(y, 0.3)) + 1.0
            return y.mean() + x.square().mean()

    def make() -> Loop:
        model = TwoOutputs()
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        return Loop(model, optimizer, lambda: (torch.randn(4, 4, 8), torch.zeros(())))

    settings = {"SHARE": 0.5, "POLICY": "auto", "HAS_PRIOR": True, "IS_DYNAMIC": False}
    judge({"make": make, "step": train, **settings})


def test_a_peak_that_any_hooks_of_torch_change_is_torchs() -> None:
    """Of what requires grad, a view made under no_grad comes out of hooks as a leaf that does so
    too: torch computes a gradient for it, and nobody takes it."""

    def step(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
        hidden = loop.model.linear(x)
        with torch.no_grad():
            view = hidden.t()
        loss = (view * loop.model.rest).square().mean()
        (gradient,) = torch.autograd.grad(loss, [loop.model.rest], create_graph=True)
        (loss + gradient.square().sum()).backward()

    def make() -> Loop:
        model = Model(nn.Parameter(torch.ones(64)))
        return Loop(model, torch.optim.SGD(model.parameters()), lambda: (torch.randn(64, 8), None))

    program = {"make": make, "step": step, "SHARE": 0.5, "POLICY": "auto"}
    verdict = judge({**program, "HAS_PRIOR": False, "IS_DYNAMIC": False})

    assert verdict.error == "work added by torch's hooks"


def test_a_plan_keeps_what_a_gradient_within_forward_made_once_an_op_has_read_it() -> None:
    # It asked for that before, at the first op after the nested backward: no step was planned.
    def forward(model: Model, x: torch.Tensor) -> torch.Tensor:
        h = torch.func.grad(lambda v: v.tanh().sum())(x.detach())
        other = x.detach().relu()
        y = h.bfloat16() @ model.linear.weight.bfloat16()
        largest = torch.ones(2048).sum() + h[0, 0] + other[0, 0]
        return y.float() * largest + x

    def make() -> Loop:
        model = Model(forward)
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        return Loop(model, optimizer, lambda: (torch.randn(64, 8), torch.zeros(())))

    program = {"make": make, "step": train, "SHARE": 0.5, "POLICY": "auto"}
    judge({**program, "HAS_PRIOR": False, "IS_DYNAMIC": False})


def assert_planned_on_images(
    forward: Callable[[Model, torch.Tensor], torch.Tensor], penalises: bool = False
) -> None:
    def step(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
        loop.optimizer.zero_grad()
        loss = loop.model(x).square().mean()
        if penalises:
            gradients = torch.autograd.grad(loss, [loop.model.linear.weight], create_graph=True)
            loss = loss + gradients[0].square().sum()
        loss.backward()
        loop.optimizer.step()

    def make() -> Loop:
        model = Model(forward)
        model.norm, model.last = nn.LayerNorm(4), nn.Linear(8, 8)
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        return Loop(model, optimizer, lambda: (torch.randn(4, 4, 8), torch.zeros(())))

    program = {"make": make, "step": step, "SHARE": 0.5, "POLICY": "auto"}
    judge({**program, "HAS_PRIOR": False, "IS_DYNAMIC": False})


def test_a_result_saved_after_its_input_was_a_rewritten_view_holds_not_itself() -> None:
    # Reading the view's grad_fn made a node after the op's own: the result passed for an input, and
    # what nobody used lived on to the end of the step.
    def forward(model: Model, x: torch.Tensor) -> torch.Tensor:
        y = model.last(x)
        z = (y + 1.0).tanh()
        y[:, :1].mul_(0.5)
        y.relu()
        return z + x

    assert_planned_on_images(forward)


def test_a_saved_view_keeps_the_gradient_that_its_base_retains() -> None:
    # In planned steps alone: these took more than was promised.
    def forward(model: Model, x: torch.Tensor) -> torch.Tensor:
        y = x.tanh() + 1.0
        y.retain_grad()
        return model.norm(y.transpose(1, 2))

    assert_planned_on_images(forward, penalises=True)


def test_the_input_of_a_checkpoint_keeps_the_gradient_that_it_retains() -> None:
    # In planned steps alone: what is saved right after its own op was taken for that op's to save.
    def forward(model: Model, x: torch.Tensor) -> torch.Tensor:
        for _ in range(8):
            x = x + 1.0
        x.retain_grad()
        return checkpoint(lambda y: y * 0.5 * y.mean(), x, use_reentrant=False)

    assert_planned_on_images(forward, penalises=True)


def test_an_element_wise_op_may_release_its_argument_itself() -> None:
    # Its graph was refused: an op that a replay writes over its input was to release none.
    def forward(model: Model, x: torch.Tensor) -> torch.Tensor:
        return torch.complex(x, x * 0.5).conj().imag * x

    assert_planned_on_images(forward)
