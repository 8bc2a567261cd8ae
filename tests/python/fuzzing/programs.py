"""A hypothesis strategy of training programs, each the source of a Python module that runs."""

from __future__ import annotations

import tidemark
from hypothesis import strategies as st

from fuzzing import layers
from fuzzing.blocks import BLOCKS, OPS, PRELUDES
from fuzzing.steps import IMMEDIATE, OPTIMIZERS, step_lines
from fuzzing.writer import Draw, Var, Writer

TEMPLATE = """
from itertools import cycle

import torch
from torch import nn
from torch.nn import functional as F
from training_loops import Loop

POLICY = "{policy}"
SHARE = {share}  # of the range between the policy's least budget and the unplanned peak
HAS_PRIOR = {has_prior}  # whether the first steps follow a plan that was made before
ARENA = "{arena}"
INPLACE = {inplace}  # whether modules are switched to in-place form
IN_BACKWARD = {in_backward}  # whether updates happen in backward
BY_LAYER = {by_layer}  # whether these update the parameters of a layer together
IS_DYNAMIC = {is_dynamic}  # whether its steps may differ in what they run
{preludes}

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0
{inits}

    def forward(self, t0):
{lines}
        return {outputs}


def make():
    model = Model()
    parameters = list(model.parameters())
    optimizer = torch.optim.{optimizer}
    sizes = cycle({sizes})

    def next_batch():
        size = next(sizes)
        return torch.randn(size, {shape}), torch.randint(0, 100, (size,))

    return Loop(model, optimizer, next_batch)


def step(loop, x, y):
{step}


if __name__ == "__main__":
    from fuzzing.judge import judge

    print(judge(globals()))
"""

MOST_OPS = 14

# Shares of the range, and whether there is a plan from the start: a watched step may find nothing
# to give back in a small budget, and what it refuses is not compared any more.
BUDGETS = (
    (0.5, True), (0.0, True), (0.2, True), (0.35, True), (0.7, True),
    (0.5, False), (0.7, False), (0.9, False), (0.1, False),
)  # fmt: skip

# "exact" plans no running step.
POLICIES = ["auto"] * 8 + [policy for policy in tidemark.policies() if policy != "exact"]


@st.composite
def programs(draw: Draw) -> str:
    """Draws a program: a model, its batches, its step, and the budget it is to run under."""
    w = Writer(draw)
    w.has_inplace, w.updates_in_backward = w.one_in(3), w.one_in(4)
    shape = w.choose(((8,), (4, 8), (3, 4), (3, 8, 6), (12,)))
    w.tensors.append(Var("t0", shape))
    # One parameter at least, so that there is something to train.
    module = w.module(f"nn.Linear({shape[-1]}, 8)")
    first = w.let(f"{module}(t0)", (*shape[:-1], 8), is_writable=True)
    if w.has_inplace:
        layers.activation(w)
    for _ in range(draw(st.integers(0, MOST_OPS))):
        w.choose(BLOCKS if w.one_in(6) else OPS)(w)
    outputs = [w.tensors[-1], *(w.choose(w.tensors[1:]) for _ in range(w.choose((0, 0, 1, 3))))]
    outputs.append(first)  # or nothing might need a gradient
    sizes = w.choose(((4,), (4,), (4,), (4,), (5, 5, 3)))
    w.is_dynamic |= len(sizes) > 1
    step = step_lines(w, outputs)
    optimizer = w.choose(IMMEDIATE if w.updates_in_backward else OPTIMIZERS)
    w.is_dynamic |= "RAdam" in optimizer  # its formula changes after some steps
    share, has_prior = w.choose(BUDGETS)
    return TEMPLATE.format(
        policy=w.choose(POLICIES),
        share=share,
        has_prior=has_prior,
        arena=w.choose(("poison", "off", "on")),
        # Autograd may refuse a step that does more with an input than the recorded one did.
        inplace=w.has_inplace and not w.is_dynamic,
        in_backward=w.updates_in_backward,
        by_layer=w.updates_in_backward and w.one_in(2),
        is_dynamic=w.is_dynamic,
        preludes="".join(f"\n{PRELUDES[name]}" for name in sorted(w.preludes)),
        inits="\n".join(w.inits),
        lines="\n".join(w.lines),
        outputs=", ".join(v.name for v in outputs) + ",",
        optimizer=optimizer,
        sizes=list(sizes),
        shape=", ".join(map(str, shape)),
        step="\n".join(f"    {line}" for line in step),
    ).lstrip()
