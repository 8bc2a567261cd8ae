"""`auto` beside torch.utils.checkpoint around every block, by the op times of one recorded step.

Wall time would compare two runs of a noisy machine. Instead the ops that checkpointing computes
again are looked up in its own recorded backward pass and priced with the times that the stock
step's recording gives to the very same forward ops, which is how plans are priced.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import tidemark
from recording import record_once

_FIXED = ("Parameter", "Buffer", "Optstate")
_NUM_BUDGETS = 41  # of the search for the budget at which `auto` is as fast


@dataclass(frozen=True, kw_only=True, slots=True)
class ByHand:
    """Per-block checkpointing and `auto`, at one peak and at one step time."""

    peak_bytes: int
    """What per-block checkpointing reaches, by its recorded curve."""
    recompute_ns: int
    """What it computes again, in the op times of the stock step."""
    num_replays: int
    step_ns: int
    """The ops of the stock step."""
    unplanned_peak_bytes: int
    least_feasible_bytes: int
    fixed_bytes: int
    """Weights, buffers and optimizer state, which no plan changes."""
    auto_recompute_ns: int
    """`auto` with `peak_bytes` as its budget."""
    auto_num_replays: int
    auto_budget_bytes: int
    """The least budget at which `auto` computes again no more than `recompute_ns`."""
    auto_budget_recompute_ns: int
    """What it computes again there."""

    @property
    def time_saved(self) -> float:
        """The share of recompute time that `auto` does not spend, at the same peak."""
        return 1 - self.auto_recompute_ns / self.recompute_ns

    @property
    def activation_bytes_saved(self) -> float:
        """The share of the bytes above the fixed ones that `auto` does not need, in that time."""
        needed = self.peak_bytes - self.fixed_bytes
        return (self.peak_bytes - self.auto_budget_bytes) / needed

    def share_of_range(self, peak_bytes: int) -> float:
        """Where a peak lies between the least feasible one, 0, and the unplanned one, 1."""
        whole = self.unplanned_peak_bytes - self.least_feasible_bytes
        return (peak_bytes - self.least_feasible_bytes) / whole

    def to_dict(self) -> dict[str, float]:
        """Returns everything as one dictionary."""
        saved = {"time_saved": self.time_saved}
        return asdict(self) | saved | {"activation_bytes_saved": self.activation_bytes_saved}

    def __str__(self) -> str:
        def at(peak_bytes: int, recompute_ns: int, num_replays: int | None = None) -> str:
            share = f"{100 * self.share_of_range(peak_bytes):.1f} % of the range"
            ops = "" if num_replays is None else f" ({num_replays} ops)"
            slower = f"{100 * recompute_ns / self.step_ns:.1f} %"
            return f"{tidemark.format_bytes(peak_bytes)}, {share}, computes {slower} again{ops}"

        return "\n".join(
            (
                f"per block:       {at(self.peak_bytes, self.recompute_ns, self.num_replays)}",
                "auto, same peak: "
                + at(self.peak_bytes, self.auto_recompute_ns, self.auto_num_replays)
                + f": {100 * self.time_saved:.1f} % less recompute time",
                "auto, same time: "
                + at(self.auto_budget_bytes, self.auto_budget_recompute_ns)
                + f": {100 * self.activation_bytes_saved:.1f} % fewer activation bytes",
            )
        )


def compare(graph: tidemark.StepGraph, checkpointed_name: str) -> ByHand:
    """Records the task with checkpointing and plans `graph` at what that reaches."""
    by_hand = record_once(checkpointed_name)
    recompute_ns, num_replays = price(graph, by_hand)
    at_peak = tidemark.plan(graph, by_hand.peak_bytes)
    frontier = tidemark.frontier(graph, points=_NUM_BUDGETS)
    as_fast = next(plan for plan in frontier if plan.recompute_ns <= recompute_ns)
    entry = json.loads(graph.to_json())["entry"]["bytes_by_category"]
    return ByHand(
        peak_bytes=by_hand.peak_bytes,
        recompute_ns=recompute_ns,
        num_replays=num_replays,
        step_ns=graph.step_ns,
        unplanned_peak_bytes=graph.peak_bytes,
        least_feasible_bytes=frontier.least_feasible_bytes,
        fixed_bytes=sum(entry.get(category, 0) for category in _FIXED),
        auto_recompute_ns=at_peak.recompute_ns,
        auto_num_replays=at_peak.num_replays,
        auto_budget_bytes=as_fast.budget_bytes,
        auto_budget_recompute_ns=as_fast.recompute_ns,
    )


def price(graph: tidemark.StepGraph, by_hand: tidemark.StepGraph) -> tuple[int, int]:
    """Returns time and number of the ops that the checkpointed step computes again.

    Its backward pass contains, per block, the block's forward ops in their order, up to the last
    one that saves something (torch.utils.checkpoint stops there).
    """
    forward = [event for event in _ops(graph) if event["phase"] == "forward"]
    backward = [event["name"] for event in _ops(by_hand) if event["phase"] == "backward"]
    recompute_ns = num_replays = 0
    for block in _blocks(forward):
        names = [event["name"] for event in block]
        length = max(_common(names, backward[start:]) for start in range(len(backward)))
        recompute_ns += sum(event.get("cost_ns", 0) for event in block[:length])
        num_replays += length
    return recompute_ns, num_replays


def _ops(graph: tidemark.StepGraph) -> list[dict[str, object]]:
    events = json.loads(graph.to_json())["events"]
    return [{"phase": "forward"} | event for event in events if event.get("kind", "op") == "op"]


def _blocks(forward: list[dict[str, object]]) -> list[list[dict[str, object]]]:
    blocks: dict[str, list[dict[str, object]]] = {}
    for event in forward:
        scope = event.get("scope", "").split(".")
        if scope[0] == "blocks":
            blocks.setdefault(scope[1], []).append(event)
    return list(blocks.values())


def _common(first: list[str], second: list[str]) -> int:
    """Returns how many names the two have in common at their beginnings."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(first), len(second)))
