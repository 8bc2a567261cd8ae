"""Bytes as people write them: "6 GiB" is 6 * 2**30, "6 GB" is 6 * 10**9, strictly."""

from __future__ import annotations

from fractions import Fraction

from tidemark import _core

_RESERVE_BYTES = 512 * 2**20


def parse_bytes(memory: int | str, *, device_bytes: int | None = None) -> int:
    """Returns the number of bytes that `memory` names.

    Args:
        memory: bytes as an int, a size ("6 GiB", "1.5GB", "4096 B"), or, when `device_bytes` is
            given, a share of the device ("80%") or "auto": the device less a reserve of 512 MiB,
            or of a tenth of the device if that is less.
        device_bytes: what the device has, or has left beside what others hold.

    Returns:
        A number of bytes, never negative.

    Raises:
        TypeError: `memory` is neither an int nor a string; a float, which could mean bytes, GiB
            or a share.
        ValueError: it is negative, misspelt, or needs a device whose size is not known.

    Example:
        >>> parse_bytes("6 GiB") == 6 * 2**30, parse_bytes("6 GB") == 6 * 10**9
        (True, True)
        >>> parse_bytes("80%", device_bytes=1000)
        800
    """
    if isinstance(memory, bool) or not isinstance(memory, int | str):
        raise TypeError(_not_a_size(memory))
    if isinstance(memory, int):
        if memory < 0:
            raise ValueError(f"a size cannot be negative: {memory}")
        return memory
    text = memory.strip()
    if text.endswith("%"):
        return int(_share(text) * _device(text, device_bytes))
    if text.lower() == "auto":
        whole = _device(text, device_bytes)
        return whole - min(_RESERVE_BYTES, whole // 10)
    return _core.parse_bytes(text)


def format_bytes(num_bytes: int) -> str:
    """Returns `num_bytes` in the largest binary unit that keeps it at or above one.

    Args:
        num_bytes: a number of bytes.

    Returns:
        A number with its unit.

    Example:
        >>> format_bytes(1536 * 2**20), format_bytes(12)
        ('1.50 GiB', '12 B')
    """
    return _core.format_bytes(num_bytes)


def format_duration(num_ns: int) -> str:
    """Returns a duration in nanoseconds with three significant digits and its unit.

    Args:
        num_ns: a duration in nanoseconds.

    Returns:
        A number with its unit.

    Example:
        >>> format_duration(1_230_000)
        '1.23 ms'
    """
    return _core.format_duration(num_ns)


def _not_a_size(memory: object) -> str:
    hint = "write bytes as an int, or a string with a unit such as '6 GiB'"
    if isinstance(memory, float) and 0 < memory <= 1:
        hint = f"for a share of the device write '{100 * memory:g}%'"
    elif isinstance(memory, float) and memory.is_integer():
        hint = f"for bytes write {int(memory)}, for GiB write '{memory:g} GiB'"
    return f"{memory!r} is not a size: {hint}"


def _share(text: str) -> Fraction:
    try:
        share = Fraction(text[:-1].strip()) / 100
    except (ValueError, ZeroDivisionError):
        raise ValueError(
            f"{text!r} is not a share of the device; write for example '80%'"
        ) from None
    if not 0 < share <= 1:
        raise ValueError(
            f"{text!r} is not a share of the device; it must be above 0% and at most 100%"
        )
    return share


def _device(text: str, device_bytes: int | None) -> int:
    if device_bytes is None:
        raise ValueError(
            f"{text!r} means a share of a device, and none is known here; "
            "write a size such as '6 GiB'"
        )
    return device_bytes
