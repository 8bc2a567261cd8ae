"""debug: switches everything off that Tidemark changes about a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tidemark import _runtime

_torch = _runtime.require()


@contextmanager
def debug() -> Iterator[None]:
    """Switches everything off that Tidemark changes about a step, to look at one.

    Within, no budget holds: steps run as without one and only their bytes are counted (they are
    watched steps in which nothing is given back, recorded or planned). Calls of `inference` get
    memory as without it, `checkpoint` is a plain call, modules that `inplace` has switched write
    elsewhere, and `optimizer_in_backward` leaves updates and gradients to ``optimizer.step()`` and
    ``zero_grad``. Whatever the program holds can be read after the step, gradients too; the numbers
    are the same. What has begun before, a step or a call, goes on as it is.

    Example:
        >>> import tidemark, torch
        >>> model = torch.nn.Linear(4, 4)
        >>> optimizer = torch.optim.SGD(model.parameters(), 0.1)
        >>> with (
        ...     tidemark.optimizer_in_backward(optimizer),
        ...     tidemark.MemoryBudget("1 GiB") as budget,
        ...     tidemark.debug(),
        ...     budget.step(),
        ... ):
        ...     model(torch.ones(2, 4)).sum().backward()
        ...     optimizer.step()
        >>> model.weight.grad.shape
        torch.Size([4, 4])
    """
    scope = _torch.DebugScope()
    try:
        yield
    finally:
        del scope
