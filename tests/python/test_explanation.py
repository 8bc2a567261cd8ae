import json
from pathlib import Path

import pytest
import tidemark
from tidemark.cli import main


def test_explain_tells_why_and_what_more_memory_buys(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    graph = tidemark.generate("resnet18", batch=8, optimizer="none")
    made = tidemark.plan(graph, graph.peak_bytes * 3 // 4)
    step, plan = str(tmp_path / "step.json"), str(tmp_path / "plan.json")
    graph.save(step)
    made.save(plan)

    assert main(["explain", step, "--plan", plan, "--scope", "layer1", "--json"]) == 0

    answer = json.loads(capsys.readouterr().out)
    assert {value["fate"] for value in answer["values"]} <= {"kept", "recomputed"}
    assert all(value["scope"].startswith("layer1") for value in answer["values"])
    assert sum(trade["recompute_ns"] for trade in answer["by_scope"]) == made.recompute_ns
    assert answer["next"][-1]["recompute_ns"] == 0

    assert main(["explain", step, "--plan", plan]) == 0
    assert "what more memory buys back first" in capsys.readouterr().out


def test_explain_refuses_a_plan_of_another_step() -> None:
    graph, other = tidemark.generate("chain4"), tidemark.generate("chain5")
    with pytest.raises(tidemark.PlanMismatch):
        tidemark.explain(graph, tidemark.plan(other, other.peak_bytes))
