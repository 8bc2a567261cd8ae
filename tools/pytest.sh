#!/usr/bin/env bash
# Runs the Python tests, files beside each other in two processes. Without any, pytest would fail:
# there is nothing to say then.
set -euo pipefail
cd "$(dirname "$0")/.."

if compgen -G 'tests/python/test_*.py' >/dev/null; then
  exec python -m pytest tests/python --numprocesses 2 --dist loadfile "$@"
fi
