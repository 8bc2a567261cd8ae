"""What a forward pass is made of: each op picks tensors that fit and names what it makes.

An op without a tensor that fits writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from fuzzing.writer import Var, Writer

Op = Callable[[Writer], None]

SIZES = (4, 8, 12)
TIMES = (3, 4, 6)

# Of any shape. What saves neither its input nor its output for backward comes first.
PLAIN = (
    "{0} + 1.0", "{0} * 0.5", "-{0}", "{0} / 3", "{0}.clone()", "{0} - 0.25", "1.5 - {0}",
    "{0}.flip(1)", "{0}.roll(1, 1)", "{0}.cumsum(1)", "torch.rand_like({0}) + {0}",
    "{0} + 0.1 * torch.randn_like({0})", "{0}.mul(torch.tensor(0.3))", "{0}.add({0}, alpha=0.5)",
    "{0}.add(torch.ones(()), alpha=2)",
)  # fmt: skip
# Without rrelu: torch saves its noise before it is drawn, so that in torch.utils.checkpoint, which
# stops once all is saved, backward reads memory that nobody has written.
SAVES_INPUT = (
    "F.gelu({0})", "F.silu({0})", "{0}.sin()", "{0}.square().tanh()", "{0}.abs()",
    "F.softplus({0})", "F.elu({0})", "F.leaky_relu({0}, 0.2)", "{0}.clamp(-1, 1)",
    "F.hardtanh({0})", "F.mish({0})", "F.logsigmoid({0})", "{0} * {0}.sigmoid()",
    "{0}.double().cos().float()", "{0}.bfloat16().sin().float()",
    "{0} * torch.empty_like({0}).uniform_(0.1, 0.3)",
    "{0} * torch.bernoulli(torch.full_like({0}, 0.7))", "{0} * (torch.rand_like({0}) < 0.8)",
    "torch.where({0} > 0, {0}, 0.1 * {0})", "{0}.masked_fill({0} > 1, 0.5)",
    "{0}.sort(1).values", "{0}.atan()", "F.hardswish({0})", "{0}.cumprod(1).tanh()",
    "{0}.maximum(torch.zeros_like({0}))", "({0}.abs() + 1).log()", "F.selu({0})",
    "torch.complex({0}, {0} * 0.5).conj().imag * {0}",
)  # fmt: skip
SAVES_OUTPUT = (
    "{0}.relu()", "{0}.tanh()", "{0}.sigmoid()", "(-{0}.abs()).exp()", "{0}.softmax(-1)",
    "{0}.log_softmax(-1)", "({0}.abs() + 0.1).sqrt()", "({0}.abs() + 1).reciprocal()",
    "F.dropout({0}, 0.3)", "F.alpha_dropout({0}, 0.2)", "F.gumbel_softmax({0}, dim=-1)",
    "({0}.square() + 1).rsqrt()", "F.normalize({0}, dim=-1)", "F.layer_norm({0}, {0}.shape[1:])",
)  # fmt: skip
IN_PLACE = (
    ".mul_(0.9)", ".add_(0.1)", ".neg_()", ".mul_(torch.rand_like({0}))", "[:, :1].mul_(0.5)",
    "[:, -1].zero_()", "[:, 1:].add_({0}[:, :1])", ".clamp_(-2, 2)", ".masked_fill_({0} > 1, 0.0)",
    ".copy_({0}.detach() * 0.5)", ".select(1, 0).fill_(0.1)", ".sub_({0}.mean())",
    ".index_add_(1, torch.tensor([0]), {0}[:, -1:].detach())", ".unsqueeze(0).mul_(1.1)",
    ".view_as({0}).add_(0.3)", ".detach().mul_(0.5)", ".data.add_(0.1)",
)  # fmt: skip
IN_PLACE_SAVED = (
    ".relu_()", ".tanh_()", ".sigmoid_()", ".abs_()", ".exp_()", ".sqrt_()", ".square_()"
)  # fmt: skip
BINARY = (
    ("{0} + {1}", False), ("{0} - {1}", False), ("{0} * {1}", True), ("{0}.lerp({1}, 0.3)", False),
    ("torch.addcmul({0}, {0}, {1}, value=0.5)", True), ("{0}.maximum({1})", True),
    ("torch.where({0} > {1}, {0}, {1})", False), ("{0} / ({1}.abs() + 1)", True),
    ("torch.stack([{0}, {1}]).sum(0)", False), ("{0} * {1}.detach()", False),
    ("{0}.add({1}, alpha=0.5)", False), ("torch.hypot({0}, {1})", True),
    ("torch.stack([{0}, {1}], 1).unbind(1)[1]", False),
)  # fmt: skip


def unary(w: Writer) -> None:
    """An op of one tensor that keeps its shape."""
    var = w.pick()
    if var is None:
        return
    kind = w.choose(("plain", "input", "output"))
    table = {"plain": PLAIN, "input": SAVES_INPUT, "output": SAVES_OUTPUT}[kind]
    if kind == "input":
        var.is_writable = False
    w.let(w.choose(table).format(var.name), var.shape, is_writable=kind != "output")


def in_place(w: Writer) -> None:
    """Writes into a tensor; once in a while one that autograd needs, which is an error."""
    var = w.pick(lambda v: v.is_writable) if not w.one_in(30) else w.pick()
    if var is None:
        return
    if w.one_in(3):
        w.line(var.name + w.choose(IN_PLACE_SAVED))
        var.is_writable = False
    else:
        w.line(var.name + w.choose(IN_PLACE).format(var.name))


def binary(w: Writer) -> None:
    """An op of two tensors of one shape."""
    a = w.pick()
    b = a and w.pick(lambda v: v.shape == a.shape)
    if a is None or b is None:
        return
    text, saves = w.choose(BINARY)
    if saves:
        a.is_writable = b.is_writable = False
    w.let(text.format(a.name, b.name), a.shape, is_writable=True)


def accumulate(w: Writer) -> None:
    """Adds one tensor to another in place, as residual connections do."""
    a = w.pick(lambda v: v.is_writable)
    b = a and w.pick(lambda v: v.shape == a.shape and v is not a)
    if a is not None and b is not None:
        w.line(w.choose(("{0} += {1}", "{0}.mul_({1}.detach())", "{0}.addcmul_({1}, {1})"))
               .format(a.name, b.name))  # fmt: skip
        b.is_writable = False


def view(w: Writer) -> None:
    """Another look at a tensor, or a copy in another order."""
    var = w.pick(lambda v: len(v.shape) >= 2)
    if var is None:
        return
    a, b, *rest = var.shape
    text, shape = w.choose((
        ("{0}.transpose(1, 2)", (b, a, *rest)),
        ("{0}.transpose(1, 2).contiguous()", (b, a, *rest)),
        ("{0}.flatten(1, 2)", (a * b, *rest)),
        ("{0}.select(1, 0)", (b, *rest)),
        ("{0}[:, -1]", (b, *rest)),
        ("{0}[:, 1:]", (a - 1, b, *rest)),
        ("{0}.chunk(2, 2)[0]", (a, (b + 1) // 2, *rest)),
        ("{0}.unbind(1)[0]", (b, *rest)),
        ("{0}.mean(1)", (b, *rest)),
        ("{0}.amax(1)", (b, *rest)),
        ("{0}.sum(2)", (a, *rest)),
        ("{0}.index_select(1, torch.randint(0, " + str(a) + ", (2,)))", (2, b, *rest)),
        ("{0}.topk(1, 1).values", (1, b, *rest)),
        ("{0}[:, torch.randperm(" + str(a) + ")]", var.shape),
        ("{0}.as_strided({0}.shape, {0}.stride())", var.shape),
    ))  # fmt: skip
    if all(size > 0 for size in shape):
        w.let(text.format(var.name), shape)


def grow(w: Writer) -> None:
    """A further dimension."""
    var = w.pick(lambda v: len(v.shape) <= 2)
    if var is None:
        return
    time = w.choose(TIMES)
    options = [
        (f"{{0}}.unsqueeze(1).expand(-1, {time}, *[-1] * {len(var.shape)})", (time, *var.shape)),
        (f"torch.stack([{{0}}] * {time}, 1)", (time, *var.shape)),
        ("{0}.unsqueeze(-1)", (*var.shape, 1)),
    ]
    if var.shape[0] % 2 == 0:
        options.append(("{0}.unflatten(1, (2, -1))", (2, var.shape[0] // 2, *var.shape[1:])))
    text, shape = w.choose(options)
    w.let(text.format(var.name), shape)


def join(w: Writer) -> None:
    """Concatenates two tensors that agree in all but one dimension."""
    a = w.pick()
    b = a and w.pick(lambda v: v.shape[1:] == a.shape[1:])
    if a is not None and b is not None and a.shape[0] + b.shape[0] <= 64:
        shape = (a.shape[0] + b.shape[0], *a.shape[1:])
        w.let(f"torch.cat([{a.name}, {b.name}], 1)", shape, is_writable=True)


def contract(w: Writer) -> None:
    """A matrix product of two tensors."""
    a = w.pick(lambda v: len(v.shape) == 2)
    b = a and w.pick(lambda v: len(v.shape) == 2 and v.shape[1] == a.shape[1])
    if a is None or b is None:
        return
    a.is_writable = b.is_writable = False
    text = w.choose((
        "{0} @ {1}.transpose(1, 2) * 0.1",
        "torch.einsum('btf,bsf->bts', {0}, {1} / 9)",
        "torch.bmm({0}, {1}.mT).tanh()",
        "torch.baddbmm(torch.zeros(()), {0}, {1}.mT)",
    ))  # fmt: skip
    w.let(text.format(a.name, b.name), (a.shape[0], b.shape[0]), is_writable=True)


def attend(w: Writer) -> None:
    """Attention of a sequence to another."""
    q = w.pick(lambda v: len(v.shape) == 2)
    k = q and w.pick(lambda v: len(v.shape) == 2 and v.shape[1] == q.shape[1])
    if q is None or k is None:
        return
    q.is_writable = k.is_writable = False
    dropout = w.choose(("", ", dropout_p=0.2", ", is_causal=True"))
    text = f"F.scaled_dot_product_attention({q.name}, {k.name}, {k.name}{dropout})"
    w.let(text, q.shape)


def free(w: Writer) -> None:
    """Forgets a name."""
    if len(w.tensors) > 3:  # the batch and the first result stay
        var = w.choose(w.tensors[2:-1])
        w.line(f"del {var.name}")
        w.tensors.remove(var)


def remember(w: Writer) -> None:
    """Keeps something in a buffer of the model, as running averages and counters do."""
    var = w.pick()
    assert var is not None
    kind = w.choose(("average", "count", "queue", "scale"))
    if kind == "count":
        w.line(w.buffer("torch.zeros(())") + ".add_(1)")
    elif kind == "average":
        with w.block("with torch.no_grad():"):
            w.line(f"{w.buffer('torch.zeros(())')}.lerp_({var.name}.mean(), 0.1)")
    elif kind == "queue":
        b = w.buffer("torch.zeros(4)")
        w.line(f"{b}[self.calls % 4] = {var.name}.detach().mean()")
    else:
        b = w.buffer("torch.ones(())")
        w.let(f"{var.name} * {b}", var.shape, is_writable=True)
        if w.one_in(4):  # the product has saved it, so that backward must object
            w.line(f"{b}.mul_(0.99)")
        else:
            w.line(f"{b} = {b} * 0.99")


def hook(w: Writer) -> None:
    """Looks at a gradient, or changes it."""
    var = w.tensors[-1]
    with w.block(f"if {var.name}.requires_grad:"):
        w.line(var.name + w.choose((
            ".register_hook(lambda g: g * 2)", ".retain_grad()",
            ".register_hook(lambda g: g + torch.rand_like(g))",
        )))  # fmt: skip


def shapes(*ranks: int) -> Callable[[Var], bool]:
    """Returns the test for a number of dimensions beside the batch."""
    return lambda v: len(v.shape) in ranks
