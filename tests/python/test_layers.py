"""Which part of csrc/tidemark may include which (the list in CONTRIBUTING.md)."""

import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^">]+)[">]', re.MULTILINE)

# What a part may include besides itself and base.
MAY_INCLUDE = {
    "base": set(),
    "graph": set(),
    "plan": {"graph"},
    "arena": set(),
    "report": {"graph", "plan", "arena"},
    "generate": {"graph"},
    # The recorder watches the runtime's tape; it knows no plan and no planner.
    "trace": {"graph", "runtime"},
    "runtime": {"graph", "plan", "arena", "report", "trace"},
}
TORCH_FREE = ("base", "graph", "plan", "arena", "report", "generate")
TORCH_HEADERS = ("torch/", "ATen/", "c10/", "caffe2/", "pybind11/", "Python.h")


def sources(part: str) -> list[Path]:
    return sorted(p for p in (CSRC / "tidemark" / part).glob("**/*") if p.suffix in {".h", ".cc"})


def includes(path: Path) -> list[str]:
    return INCLUDE.findall(path.read_text())


def test_every_folder_is_one_of_the_parts() -> None:
    folders = {path.name for path in (CSRC / "tidemark").iterdir() if path.is_dir()}
    assert folders <= set(MAY_INCLUDE)


@pytest.mark.parametrize("part", TORCH_FREE)
def test_the_core_includes_neither_torch_nor_python(part: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources(part)
        for name in includes(path)
        if name.startswith(TORCH_HEADERS)
    ]
    assert found == []


@pytest.mark.parametrize("part", MAY_INCLUDE)
def test_a_part_includes_only_what_lies_below_it(part: str) -> None:
    allowed = MAY_INCLUDE[part] | {part, "base"}
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources(part)
        for name in includes(path)
        if name.startswith("tidemark/") and name.split("/")[1] not in allowed
    ]
    assert found == []


def test_no_header_includes_itself_over_others() -> None:
    headers = {path.relative_to(CSRC).as_posix(): path for path in CSRC.glob("tidemark/**/*.h")}
    graph = {name: set(includes(path)) & set(headers) for name, path in headers.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


def test_torch_versions_are_told_apart_in_one_file_only() -> None:
    found = [
        path.relative_to(CSRC).as_posix()
        for path in CSRC.glob("tidemark/**/*")
        if path.suffix in {".h", ".cc"}
        and re.search(r"^\s*#\s*(if|elif).*TORCH_VERSION", path.read_text(), re.MULTILINE)
    ]
    assert set(found) <= {"tidemark/runtime/torch_compat.h"}
