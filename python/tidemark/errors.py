"""What Tidemark raises, each with the facts as fields.

``BudgetExceeded`` is an out-of-memory error of torch and therefore lives in
``tidemark.budget_exceeded``, which imports torch; ``tidemark.BudgetExceeded`` finds it there.
"""

# ruff: noqa: N818 - the names say what happened; torch's OutOfMemoryError is the only "Error" here.

from __future__ import annotations

import copyreg


class BudgetInfeasible(ValueError):
    """No plan was found that runs the step in the budget.

    The text says what the budget is, what the least feasible one is, which op sets it and which
    bytes no plan can give back.

    Example:
        >>> import tidemark
        >>> graph = tidemark.StepGraph.load("step.json")
        >>> try:
        ...     tidemark.plan(graph, 1)
        ... except tidemark.BudgetInfeasible as no:
        ...     print(no.budget_bytes, no.least_feasible_bytes >= no.floor_bytes > 1)
        1 True
    """

    budget_bytes: int
    """What was asked for."""
    floor_bytes: int
    """No plan at all can run in less."""
    least_feasible_bytes: int
    """The least budget at which a policy found a plan."""
    lower_bound_ns: int | None
    """Whatever plan there were within the budget would compute again for this long at least, in
    nanoseconds; None where it is proved that there is none."""
    op: str
    """The op whose working set decides the floor."""
    scope: str
    """Its module path, empty if unknown."""
    source: str
    """Its source line, empty if unknown."""
    fixed_bytes: dict[str, int]
    """What lies in memory there whatever a plan does, by category."""
    timed_out: bool
    """Whether the time limit came first, so that a longer one may find a plan."""

    def __init__(
        self,
        message: str,
        *,
        budget_bytes: int,
        floor_bytes: int,
        least_feasible_bytes: int,
        lower_bound_ns: int | None = None,
        op: str = "",
        scope: str = "",
        source: str = "",
        fixed_bytes: dict[str, int] | None = None,
        timed_out: bool = False,
    ) -> None:
        super().__init__(message)
        self.budget_bytes = budget_bytes
        self.floor_bytes = floor_bytes
        self.least_feasible_bytes = least_feasible_bytes
        self.lower_bound_ns = lower_bound_ns
        self.op = op
        self.scope = scope
        self.source = source
        self.fixed_bytes = dict(fixed_bytes or {})
        self.timed_out = timed_out

    # Without it an exception is made again from its text alone. One that cannot be made again
    # breaks the pool of processes that it was raised in.
    def __reduce__(self) -> tuple[object, tuple[object, ...], dict[str, object]]:
        return copyreg.__newobj__, (type(self), *self.args), vars(self)  # type: ignore[attr-defined]


class PlanMismatch(ValueError):
    """A plan was given for a step that it was not made for. The text names the first difference."""


class ReplayMismatch(RuntimeError):
    """Computing an op again gave another result than the forward pass. The text names the op."""


class UnseenWrite(RuntimeError):
    """Memory has changed in a step, and no op said so: what is computed again could be wrong.

    Raised under ``MemoryBudget(..., check="checksums")``. The text names the op that met the change
    and the op that had left the memory otherwise.
    """


class NotSupported(NotImplementedError):
    """Something Tidemark cannot do. The text says what it does instead if told to."""
