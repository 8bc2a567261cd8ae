"""_core.pyi is written by hand; this holds it to the module."""

import ast
from pathlib import Path

from tidemark import _core

STUB = Path(__file__).parent.parent.parent / "python" / "tidemark" / "_core.pyi"


def names_in(body: list[ast.stmt]) -> set[str]:
    names = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def public(thing: object) -> set[str]:
    return {name for name in vars(thing) if not name.startswith("_")}


def test_the_stub_names_what_the_module_has() -> None:
    assert names_in(ast.parse(STUB.read_text()).body) == public(_core)


def test_the_stub_names_what_the_classes_have() -> None:
    for node in ast.parse(STUB.read_text()).body:
        if isinstance(node, ast.ClassDef):
            assert names_in(node.body) == public(getattr(_core, node.name)), node.name
