"""However a program ends, in the middle of a step or after, Tidemark lets it end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

HEAD = """
import os, sys, threading
import tidemark, torch
from torch import nn

def block():
    return nn.Sequential(nn.Linear(32, 32), nn.GELU())

model = nn.Sequential(*(block() for _ in range(8)))
optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
x = torch.randn(64, 32)

def train():
    optimizer.zero_grad()
    loss = model(x).square().mean()
    loss.backward()
    optimizer.step()
    return loss

def peak():
    with tidemark.MemoryBudget(None) as budget:
        with budget.step():
            train()
        return budget.peak_bytes

budget = tidemark.MemoryBudget(int(peak() * 0.8))
for _ in range(4):
    with budget.step():
        train()
assert budget.last_step.kind == "planned" and budget.last_step.num_replays > 0
"""

ENDS = {
    "with the budget open": "",
    "with the budget closed": "budget.close()",
    "with a graph of a step alive": """
with budget.step():
    kept = model(x).square().mean()
""",
    "with a graph alive and the budget closed": """
with budget.step():
    kept = model(x).square().mean()
budget.close()
""",
    "with a graph in a cycle": """
class Node: pass
with budget.step():
    node = Node()
    node.me, node.loss = node, model(x).square().mean()
del node
""",
    "inside of a step": """
with budget.step():
    kept = model(x)
    sys.exit(0)
""",
    "inside of a step that is never left": """
step = budget.step()
step.__enter__()
kept = model(x)
""",
    "inside of backward": """
model[4].register_full_backward_hook(lambda *_: sys.exit(0))
with budget.step():
    train()
""",
    "while another thread is in a step": """
def work():
    with budget.step():
        kept.append(model(x))
        is_there.set()
        threading.Event().wait()
kept, is_there = [], threading.Event()
threading.Thread(target=work, daemon=True).start()
is_there.wait()
""",
    "in a child of a step": """
with budget.step():
    loss = model(x).square().mean()
    child = os.fork()
    if child == 0:
        sys.exit(0)
    loss.backward()
assert os.waitpid(child, 0)[1] == 0
""",
}


# Importing torch takes seconds: one process does it, and every ending has a child of it.
TAIL = """
for how, end in ENDS.items():
    child = os.fork()
    if child == 0:
        exec(end)
        sys.exit(0)
    print(os.waitpid(child, 0)[1], how, flush=True)
"""


def test_a_program_may_end_anywhere() -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{HEAD}\nENDS = {ENDS!r}\n{TAIL}"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "python"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.stdout.splitlines() == [f"0 {how}" for how in ENDS], done.stderr
    assert (done.returncode, done.stderr) == (0, "")
