"""Losses, backward passes and optimizers: what a step does with a model's outputs."""

from __future__ import annotations

from fuzzing.writer import Var, Writer

OPTIMIZERS = (
    "SGD(parameters, 0.01)", "SGD(parameters, 0.01, momentum=0.9)",
    "SGD(parameters, 0.01, momentum=0.9, nesterov=True, foreach=True)",
    "SGD(parameters, 0.01, weight_decay=0.1, fused=True)",
    "AdamW(parameters, 1e-3)", "AdamW(parameters, 1e-3, foreach=True)",
    "AdamW(parameters, 1e-3, fused=True)", "Adam(parameters, 1e-3, amsgrad=True)",
    "Adam(parameters, 1e-3, weight_decay=0.1, foreach=True)", "RMSprop(parameters, 1e-3)",
    "Adagrad(parameters, 1e-2)", "Adadelta(parameters)", "Adamax(parameters, 1e-3)",
    "NAdam(parameters, 1e-3)", "RAdam(parameters, 1e-3)", "ASGD(parameters, 1e-2)",
    "Rprop(parameters, 1e-3)",
)  # fmt: skip

# Those that `tidemark.optimizer_in_backward` takes.
IMMEDIATE = [each for each in OPTIMIZERS if each.startswith(("SGD", "Adam(", "AdamW"))]

LOSSES = (
    "{0}.square().mean()", "{0}.mean()", "F.mse_loss({0}, torch.zeros_like({0}))",
    "F.smooth_l1_loss({0}, torch.ones_like({0}))", "{0}.logsumexp(-1).mean()", "{0}.std()",
    "F.binary_cross_entropy_with_logits({0}, ({0}.detach() > 0).float())", "{0}.norm()",
    "F.cross_entropy({0}.flatten(1), y % {0}[0].numel())",
    "F.nll_loss({0}.flatten(1).log_softmax(1), y % {0}[0].numel())",
    "F.kl_div({0}.log_softmax(-1), torch.rand_like({0}).softmax(-1), reduction='batchmean')",
)  # fmt: skip

# Lines of a step; {loss} is an expression of `outputs`, {other} another one.
BACKWARD = {
    "plain": ("loss = {loss}", "loss.backward()"),
    "clipped": (
        "loss = {loss}", "loss.backward()",
        "nn.utils.clip_grad_norm_(loop.model.parameters(), 0.5)",
    ),
    "accumulated": (
        "for x_part, y in zip(x.chunk(2), y.chunk(2)):",
        "    outputs = loop.model(x_part)",
        "    loss = ({loss}) / 2",
        "    loss.backward()",
    ),
    "two losses": (
        "loss = {loss}", "loss.backward(retain_graph=True)", "({other}).backward()",
    ),
    "two passes": (
        "loss = {loss}", "outputs = loop.model(x * 0.5)", "other = {other}",
        "loss.backward()", "other.backward()",
    ),
    "one of two": (
        "loss = {loss}", "loop.named.unused = loop.model(x * 0.5)[0]", "loss.backward()",
    ),
    "twice": ("loss = {loss}", "loss.backward(retain_graph=True)", "loss.backward()"),
    "some inputs": (
        "loss = {loss}", "parameters = list(loop.model.parameters())",
        "loss.backward(inputs=parameters[::2])",
    ),
    "by hand": (
        "loss = {loss}", "parameters = [p for p in loop.model.parameters() if p.requires_grad]",
        "gradients = torch.autograd.grad(loss, parameters, allow_unused=True)",
        "for parameter, gradient in zip(parameters, gradients):",
        "    parameter.grad = gradient",
    ),
    "penalty": (
        "loss = {loss}", "parameters = list(loop.model.parameters())",
        "gradients = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)",
        "loss = loss + sum(g.square().sum() for g in gradients if g is not None)",
        "loss.backward()",
    ),
    "scaled": (
        "loss = {loss}", "(loss * 64).backward()",
        "torch._foreach_div_([p.grad for p in loop.model.parameters() if p.grad is not None], 64)",
    ),
    "perturbed": (
        "loss = {loss}", "loss.backward()",
        "with torch.no_grad():",
        "    for parameter in loop.model.parameters():",
        "        if parameter.grad is not None:",
        "            parameter.add_(parameter.grad, alpha=1e-3)",
        "outputs = loop.model(x)", "loop.optimizer.zero_grad()", "loss = {other}",
        "loss.backward()",
    ),
}  # fmt: skip

ZERO = ("loop.optimizer.zero_grad()", "loop.optimizer.zero_grad(set_to_none=False)",
        "loop.model.zero_grad()")  # fmt: skip

# What lives until the next step.
LEFT = ("loop.named.loss = loss.detach()", "loop.named.loss = loss",
        "loop.named.loss, loop.named.output = loss, outputs[0]")  # fmt: skip
# Nobody but the optimizer looks at gradients, and each is complete once.
NEEDS_NO_GRADIENTS = ("plain", "one of two", "some inputs", "by hand", "penalty")
LEAVES_GRAPH = ("two losses", "one of two", "some inputs", "twice")


def loss_of(w: Writer, outputs: list[Var]) -> str:
    """Returns an expression that has every output in it."""
    terms = (w.choose(LOSSES).format(f"outputs[{i}]") for i in range(len(outputs)))
    return " + ".join(terms)


def step_lines(w: Writer, outputs: list[Var]) -> list[str]:
    """Returns the body of `step(loop, x, y)`."""
    loss, other = loss_of(w, outputs), loss_of(w, outputs)
    # Zeros that are kept and added to make a sum of -0 and 0, which is 0: other bits.
    zero = w.choose([z for z in ZERO if not (w.updates_in_backward and "=False" in z)])
    is_zeroed_last = w.one_in(2)
    lines = ["loop.model.calls += 1"]
    if w.one_in(8):
        w.is_dynamic = True
        lines += ["if loop.model.calls % 3 == 2:", "    with torch.no_grad():",
                  "        loop.named.loss = loop.model(x)[0]", "    return"]  # fmt: skip
    if w.one_in(6):
        lines.append("x.requires_grad_()")
    lines += [] if is_zeroed_last else [zero]
    kind = w.choose(list(NEEDS_NO_GRADIENTS if w.updates_in_backward else BACKWARD))
    if kind != "accumulated":
        lines.append("outputs = loop.model(x)")
    lines += [line.format(loss=loss, other=other) for line in BACKWARD[kind]]
    lines.append("loop.optimizer.step()")
    lines += [zero] if is_zeroed_last else []
    lines.append(w.choose(LEFT))
    # What a part of a graph that lives on has saved depends on what the last step gave back: it
    # takes several plans, one for what each of them leaves, until all that comes is known.
    w.is_dynamic |= kind == "one of two" or (kind in LEAVES_GRAPH and "detach" not in lines[-1])
    return lines
