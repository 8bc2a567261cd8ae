"""The command: python -m fuzzing SECONDS SEED. Exits with 1 if any program differs."""

from __future__ import annotations

import sys
import time

from fuzzing.hunt import PROGRAMS_PER_ROUND, Findings, hunt_round


def main(seconds: float, seed: int) -> int:
    """Hunts for so long, from this seed on, and says what it found."""
    start = time.monotonic()
    findings = Findings()
    while time.monotonic() < start + seconds:
        num_files = len(findings.files)
        hunt_round(seed, PROGRAMS_PER_ROUND, findings, until=start + seconds)
        print(f"{time.monotonic() - start:6.0f} s, seed {seed}: {findings}", flush=True)
        for path in findings.files[num_files:]:
            print(f"\n---- {path}\n{path.read_text()}", flush=True)
        seed += 1
    return 1 if findings.files else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2])))
