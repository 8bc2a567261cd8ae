import json
import pickle
from pathlib import Path

import pytest
import tidemark
from tidemark import StepGraph

STEP = Path(__file__).parent.parent / "data" / "mlp3.json"


@pytest.fixture(scope="module")
def graph() -> StepGraph:
    return StepGraph.load(STEP)


def test_a_graph_survives_json_files_and_pickling(graph: StepGraph, tmp_path: Path) -> None:
    graph.save(tmp_path / "step.json")

    assert StepGraph.load(tmp_path / "step.json") == graph
    assert StepGraph.from_json(graph.to_json()) == graph
    assert pickle.loads(pickle.dumps(graph)) == graph


def test_equal_graphs_give_equal_bytes_and_hashes(graph: StepGraph) -> None:
    again = StepGraph.from_json(graph.to_json())

    assert again.to_json() == graph.to_json()
    assert hash(again) == hash(graph)
    assert again.hash == graph.hash


def test_a_changed_graph_is_another_one(graph: StepGraph) -> None:
    other = StepGraph.from_json(graph.to_json().replace("aten::relu_", "aten::gelu_"))

    assert other != graph
    assert other.hash != graph.hash
    assert graph != "a graph"


def test_numbers_are_those_of_the_file(graph: StepGraph) -> None:
    written = json.loads(STEP.read_text())

    assert graph.num_events == len(written["events"])
    assert graph.num_values == len(written["values"])
    assert graph.num_ops < graph.num_events
    assert graph.peak_bytes == tidemark.simulate(graph).peak_bytes
    assert graph.device == "cpu"
    assert not graph.is_estimate


def test_repr_is_one_line_and_print_answers_in_three(graph: StepGraph) -> None:
    assert repr(graph).startswith("<StepGraph of ")
    assert "\n" not in repr(graph)
    first, second, third = str(graph).splitlines()[:3]
    assert first.startswith("fits")
    assert second.startswith("slower")
    assert third.startswith("sure")


def test_what_is_no_graph_is_refused_with_its_place() -> None:
    with pytest.raises(ValueError, match="line 1, column 1"):
        StepGraph.from_json("[]")
    with pytest.raises(ValueError, match="line 1, column"):
        StepGraph.from_json('{"events": [{"kind": "dance"}]}')
    with pytest.raises(OSError, match=r"nowhere\.json"):
        StepGraph.load("nowhere.json")


def test_the_curve_has_a_reading_per_event(graph: StepGraph) -> None:
    result = tidemark.simulate(graph)

    assert len(result.curve) == graph.num_events
    assert max(peak for _, peak, _ in result.curve) == result.peak_bytes
    assert result.curve[result.peak_event][1] == result.peak_bytes
    assert result.cost_ns == graph.step_ns
