"""Random programs do under a budget, bit for bit, what they do without one.

`make fuzz` runs many more; what was found so is in test_fuzz_findings.py.
"""

from __future__ import annotations

import pytest
from fuzzing.hunt import Findings, hunt_round

NUM_PROGRAMS = 50


@pytest.mark.parametrize("seed", range(6))
def test_random_programs_are_exact_inside_and_as_promised(seed: int) -> None:
    findings = Findings()

    hunt_round(seed, NUM_PROGRAMS, findings, shrinks=False)

    print(findings)
    assert not findings.files, "\n".join(path.read_text() for path in findings.files)
    assert findings.num_programs == NUM_PROGRAMS
    # Or the comparison would say little.
    assert findings.steps["planned"] > NUM_PROGRAMS
    assert findings.num_replays > NUM_PROGRAMS
