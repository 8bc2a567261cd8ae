#!/usr/bin/env bash
# Formatting, lint and types, as `make test` requires them. Changes nothing.
# The tools come from PATH: the Makefile puts the virtual environment first.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'check: %s\n' "$*"; }

mapfile -t cpp < <(find csrc tests examples benchmarks python/bindings cmake \
                     -name '*.h' -o -name '*.cc' 2>/dev/null | sort)
say "clang-format, ${#cpp[@]} files"
clang-format --dry-run -Werror "${cpp[@]}"

say "ruff"
ruff check --quiet .
ruff format --check --quiet .

if compgen -G 'python/tidemark/*.py' >/dev/null; then
  say "mypy --strict"
  mypy --no-error-summary
fi
say "all clean"
