import pytest
from tidemark import format_bytes, parse_bytes
from tidemark.bytes import format_duration


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("6 GiB", 6 * 2**30),
        ("6 GB", 6 * 10**9),
        ("1.5GiB", 3 * 2**29),
        ("512 MiB", 512 * 2**20),
        ("4096 B", 4096),
        ("4096", 4096),
        (17, 17),
        (0, 0),
    ],
)
def test_sizes_are_read_strictly(text: int | str, size: int) -> None:
    assert parse_bytes(text) == size


def test_a_share_and_auto_mean_the_device() -> None:
    assert parse_bytes("80%", device_bytes=1000) == 800
    assert parse_bytes("12.5 %", device_bytes=1000) == 125
    assert parse_bytes("auto", device_bytes=1000) == 900
    assert parse_bytes("auto", device_bytes=80 * 2**30) == 80 * 2**30 - 512 * 2**20


@pytest.mark.parametrize("text", ["80%", "auto"])
def test_a_share_without_a_device_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="none is known here; write a size"):
        parse_bytes(text)


@pytest.mark.parametrize("text", ["0%", "101%", "-5%", "x%", "1/0%", "nan%"])
def test_a_share_must_lie_above_zero_and_within_the_device(text: str) -> None:
    with pytest.raises(ValueError, match="not a share of the device"):
        parse_bytes(text, device_bytes=1000)


def test_a_bare_float_is_refused_with_the_way_to_write_it() -> None:
    with pytest.raises(TypeError, match="write '50%'"):
        parse_bytes(0.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="for GiB write '6 GiB'"):
        parse_bytes(6.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [True, None, b"6 GiB"])
def test_other_types_are_refused(bad: object) -> None:
    with pytest.raises(TypeError, match="is not a size"):
        parse_bytes(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [-1, "-1 GiB", "6 gigs", "", "GiB"])
def test_nonsense_is_refused(bad: int | str) -> None:
    with pytest.raises(ValueError, match=r"size"):
        parse_bytes(bad)


def test_printing_uses_binary_units_and_reading_them_back_is_close() -> None:
    assert format_bytes(6 * 2**30) == "6.00 GiB"
    assert format_bytes(12) == "12 B"
    assert parse_bytes(format_bytes(3 * 2**29)) == 3 * 2**29
    assert format_duration(1_230_000) == "1.23 ms"
