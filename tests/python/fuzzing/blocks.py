"""Control flow and contexts around ops."""

from __future__ import annotations

from collections.abc import Callable

from fuzzing import layers, ops
from fuzzing.writer import Var, Writer

OPS: tuple[ops.Op, ...] = (
    ops.unary, layers.linear, ops.binary, layers.keep_shape, layers.activation, ops.in_place,
    ops.view, layers.weight, ops.accumulate, ops.grow, ops.join, ops.contract, ops.attend,
    layers.sequence, layers.image, layers.embed, ops.free, ops.remember, ops.hook,
)  # fmt: skip

PRELUDES = {
    "Scaled": '''
class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp().clamp(max=3)
        ctx.save_for_backward(x, y)
        ctx.mask = x > 0
        return y * 0.5

    @staticmethod
    def backward(ctx, grad):
        x, y = ctx.saved_tensors
        return grad * y * 0.5 + ctx.mask * x * 0.01
''',
    "Straight": '''
class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.round_()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return grad
''',
}  # fmt: skip


def body(w: Writer, most: int) -> None:
    """A few ops, some of which may find nothing that fits."""
    for _ in range(w.choose(range(1, most + 1))):
        w.choose(OPS)(w)


def nested(w: Writer, head: str, start: Var, most: int = 3) -> Var:
    """Ops in a block that begin with `start`; gives what they end with, under a new name."""
    outer = w.tensors
    w.tensors = [Var(start.name, start.shape)]
    with w.block(head):
        body(w, most)
        result = w.tensors[-1]
        name = w.name()
        w.line(f"{name} = {result.name}")
    w.tensors = outer
    return Var(name, result.shape)


def loop(w: Writer) -> None:
    """The same ops several times, at times an odd number of times."""
    var = w.pick()
    assert var is not None
    times = w.choose(("2", "3", "1 + self.calls % 2", "int(torch.randint(1, 4, ()))"))
    w.is_dynamic |= not times.isdigit()
    name = w.name()
    w.line(f"{name} = {var.name}")
    with w.block(f"for _ in range({times}):"):
        text = w.choose(ops.SAVES_INPUT + ops.SAVES_OUTPUT + ops.PLAIN)
        w.line(f"{name} = {text.format(name)}")
        if w.one_in(2):
            made = w.module(f"nn.Linear({var.shape[-1]}, {var.shape[-1]})")
            w.line(f"{name} = {made}({name})")
    var.is_writable = False
    w.tensors.append(Var(name, var.shape))


def branch(w: Writer) -> None:
    """One of two ops, by the number of the step, by chance or by the data."""
    var = w.pick()
    assert var is not None
    w.is_dynamic = True
    var.is_writable = False
    name = w.name()
    condition = w.choose((
        "self.calls % 2", "float(torch.rand(())) < 0.5", "self.calls % 3 == 1",
        f"bool({var.name}.detach().mean() > 0)",
    ))  # fmt: skip
    for head in (f"if {condition}:", "else:"):
        with w.block(head):
            text = w.choose(ops.SAVES_INPUT + ops.SAVES_OUTPUT + ops.PLAIN)
            w.line(f"{name} = {text.format(var.name)}")
    w.tensors.append(Var(name, var.shape))


def autocast(w: Writer) -> None:
    """Ops in bfloat16."""
    var = w.pick()
    assert var is not None
    var.is_writable = False
    result = nested(w, 'with torch.autocast("cpu", torch.bfloat16):', var)
    w.let(f"{result.name}.float()", result.shape)


def without_grad(w: Writer) -> None:
    """Ops that backward does not reach."""
    var = w.pick()
    assert var is not None
    w.tensors.append(nested(w, "with torch.no_grad():", var))


def offloaded(w: Writer) -> None:
    """Ops whose saved tensors are the program's own affair."""
    var = w.pick()
    assert var is not None
    var.is_writable = False
    head = w.choose((
        "with torch.autograd.graph.save_on_cpu():",
        "with torch.autograd.graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t):",
    ))  # fmt: skip
    w.tensors.append(nested(w, head, var))


def checkpointed(w: Writer) -> None:
    """Ops that torch or Tidemark computes again in backward."""
    var = w.pick()
    assert var is not None
    var.is_writable = False
    call = w.choose((
        "torch.utils.checkpoint.checkpoint({0}, {1}, use_reentrant=False)",
        "torch.utils.checkpoint.checkpoint({0}, {1}, use_reentrant=True)",
    ))  # fmt: skip
    function, argument = w.name("f"), w.name()
    outer = w.tensors
    w.tensors = [Var(argument, var.shape)]
    with w.block(f"def {function}({argument}):"):
        body(w, 3)
        result = w.tensors[-1]
        w.line(f"return {result.name}")
    w.tensors = outer
    w.let(call.format(function, var.name), result.shape)


def custom(w: Writer) -> None:
    """A Function of the program's own, or a transform of torch.func."""
    var = w.pick()
    assert var is not None
    kind = w.choose(("Scaled", "Straight", "vmap", "grad"))
    if kind in PRELUDES:
        w.preludes.add(kind)
        argument = var.name if kind == "Scaled" else f"{var.name}.clone()"
        w.let(f"{kind}.apply({argument})", var.shape)
    elif kind == "vmap":
        w.let(f"torch.func.vmap(lambda v: v.sin() * v)({var.name})", var.shape)
    else:
        w.let(f"torch.func.grad(lambda v: v.tanh().sum())({var.name})", var.shape)
    var.is_writable = False


BLOCKS: tuple[Callable[[Writer], None], ...] = (
    loop, without_grad, autocast, checkpointed, custom, branch, offloaded,
)  # fmt: skip
