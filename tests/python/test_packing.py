import json
import random
from pathlib import Path

import pytest
import tidemark
from tidemark.cli import main

STEP = str(Path(__file__).parent.parent / "data" / "mlp3.json")
HEADER = "id,lower,upper,size\n"


def a_few() -> list[tidemark.Buffer]:
    draw = random.Random(1)
    begins = [draw.randrange(50) for _ in range(40)]
    return [
        tidemark.Buffer(begin, begin + 1 + draw.randrange(20), 8 * draw.randrange(1, 50), f"b{i}")
        for i, begin in enumerate(begins)
    ]


def overlaps(packing: tidemark.Packing) -> list[tuple[int, int]]:
    placed = list(zip(packing.buffers, packing.offsets, strict=True))
    return [
        (i, j)
        for i, (a, low) in enumerate(placed)
        for j, (b, other) in enumerate(placed[:i])
        if a.begin < b.end and b.begin < a.end
        if low < other + b.size and other < low + a.size
    ]


def test_buffers_that_live_together_do_not_overlap() -> None:
    packing = tidemark.pack(a_few())
    assert overlaps(packing) == []
    ends = [b.size + low for b, low in zip(packing.buffers, packing.offsets, strict=True)]
    assert packing.height == max(ends) >= packing.lower_bound


def test_the_order_of_buffers_changes_nothing() -> None:
    buffers = a_few()
    shuffled = random.Random(2).sample(buffers, len(buffers))
    first = tidemark.pack(buffers, time_limit=1000, work_limit=1_000_000)
    second = tidemark.pack(shuffled, time_limit=1000, work_limit=1_000_000)
    by_name = {b.name: low for b, low in zip(first.buffers, first.offsets, strict=True)}
    for buffer, low in zip(second.buffers, second.offsets, strict=True):
        assert by_name[buffer.name] == low


def test_rules_of_the_arena_are_kept() -> None:
    buffers = [*a_few(), tidemark.Buffer(0, 100, 64, "pinned", offset=1024)]
    packing = tidemark.pack(
        buffers, alignment=64, block_limit="4KiB", forbidden=[(0, 100)], time_limit=0.5
    )
    assert packing.offsets[-1] == 1024
    for buffer, low in zip(packing.buffers, packing.offsets, strict=True):
        assert low % 64 == 0
        assert low >= 100
        assert low // 4096 == (low + buffer.size - 1) // 4096


def test_a_step_s_own_allocations_are_packed() -> None:
    graph = tidemark.StepGraph.load(STEP)
    packing = tidemark.pack(graph)
    assert packing.status == "optimal"
    assert overlaps(packing) == []
    assert packing.height < sum(buffer.size for buffer in packing.buffers)


def test_a_packing_says_how_good_it_is() -> None:
    packing = tidemark.pack([(0, 2, 2**20), (1, 3, 2**20)])
    assert str(packing).splitlines()[0] == "height      2.00 MiB (2097152 bytes), optimal"
    assert repr(packing) == "<Packing of 2 buffers, height 2.00 MiB, optimal>"
    assert packing == tidemark.pack([(0, 2, 2**20), (1, 3, 2**20)])


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="buffer #0: its life ends at 1, before it begins at 2"):
        tidemark.pack([(2, 1, 8)])
    with pytest.raises(ValueError, match="time limit is -1"):
        tidemark.pack([(1, 2, 8)], time_limit=-1)


def test_the_picture_has_one_box_per_buffer() -> None:
    picture = tidemark.pack([tidemark.Buffer(0, 2, 8, "a<b"), (1, 3, 8), (2, 3, 0)]).to_svg()
    assert picture.count("<title>") == 2
    assert "<title>a&lt;b: 8 bytes at " in picture


def test_the_command_writes_addresses_that_can_be_packed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lives = tmp_path / "lives.csv"
    lives.write_text(HEADER + "a,0,2,64\nb,1,3,32\nc,2,4,64\n")
    out, picture = tmp_path / "out.csv", tmp_path / "layout.svg"

    assert main(["pack", str(lives), "-o", str(out), "--picture", str(picture), "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert (found["height"], found["lower_bound"], found["status"]) == (96, 96, "optimal")
    assert {"file", "gap", "seconds", "num_buffers", "total_bytes"} <= set(found)
    assert picture.read_text().startswith("<svg")
    assert main(["pack", str(out)]) == 0
    assert capsys.readouterr().out.startswith("height      96 B (96 bytes), optimal")


def test_the_exit_code_says_whether_it_fits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lives = tmp_path / "lives.csv"
    lives.write_text(HEADER + "a,0,2,64\nb,1,3,32\n")
    assert main(["pack", str(lives), "--capacity", "96"]) == 0
    assert main(["pack", str(lives), "--capacity", "95"]) == 1
    assert main(["pack", str(lives), str(lives), "--json"]) == 0
    assert main(["pack", str(lives), str(lives), "-o", "x.csv"]) == 2
    lives.write_text("id,lower\n")
    capsys.readouterr()
    assert main(["pack", str(lives)]) == 2
    assert f"{lives}: line 1: there is no column 'upper'" in capsys.readouterr().err


def test_fixed_buffers_that_overlap_are_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lives, out = tmp_path / "lives.csv", tmp_path / "out.csv"
    lives.write_text("id,lower,upper,size,fixed\na,0,2,64,0\nb,1,3,32,32\nc,0,3,8,\n")

    assert main(["pack", str(lives), "-o", str(out)]) == 1

    text = capsys.readouterr().out
    assert "does not fit: 2 buffers exclude each other: a, b" in text
    assert f"nothing to write to {out}" in text
    assert not out.exists()
