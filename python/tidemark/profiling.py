"""profile: the figures of the machine at hand, for the costs of generated steps."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from typing import Any

_SECONDS_EACH = 0.5


def measure_device() -> dict[str, Any]:
    """Measures what this machine's CPU takes per FLOP, byte, op and random number, with torch.

    Takes some seconds. The best of many short runs counts: what disturbs a run makes it slower.

    Returns:
        A device profile, the fields of csrc/tidemark/graph/device_profile.h; as JSON it is what
        `tidemark.generate` takes for `device`.

    Raises:
        ImportError: torch is not installed.

    Example:
        >>> measure_device()["bytes_per_second"] > 0
        True
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError("measuring this machine runs torch's own kernels: install torch") from (
            error
        )
    with torch.no_grad():
        one = torch.ones(1)
        overhead = _seconds(lambda: one + one)
        figures = {
            "flops_per_second": _product_rate(torch.float32),
            "half_flops_per_second": _product_rate(torch.bfloat16),
            "bytes_per_second": _traffic_rate(),
            "overhead_ns": round(overhead * 1e9),
            "random_number_ps": _random_number_ps(),
        }
    source = f"measured, torch {torch.__version__}, {torch.get_num_threads()} threads"
    return {"version": 1, "name": platform.machine(), "source": source} | figures


def _seconds(run: Callable[[], object]) -> float:
    """Returns the shortest time that `run` took."""
    run()
    best, end = float("inf"), time.perf_counter() + _SECONDS_EACH
    while time.perf_counter() < end:
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return best


def _product_rate(dtype: Any) -> int:
    import torch

    side = 768
    x, y = torch.ones(side, side, dtype=dtype), torch.ones(side, side, dtype=dtype)
    return round(2 * side**3 / _seconds(lambda: torch.mm(x, y)))


def _traffic_rate() -> int:
    import torch

    x = torch.ones(16 << 20)  # 64 MiB: beyond the caches
    y = torch.empty_like(x)
    return round(2 * int(x.nbytes) / _seconds(lambda: y.copy_(x)))


def _random_number_ps() -> int:
    import torch

    x = torch.empty(1 << 18)
    return round(_seconds(x.bernoulli_) / int(x.numel()) * 1e12)
