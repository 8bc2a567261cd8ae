#!/usr/bin/env bash
# Runs the torch half's tests under the address and undefined-behaviour sanitizers: those in C++, and
# of those in Python the ones that drive the runtime hardest. Neither torch nor Python is
# instrumented: what is found lies in our own code, or in what it gives to theirs.
#
# `make sanitize-torch` builds what it needs. Arguments: Python tests instead of the chosen ones.
set -euo pipefail
cd "$(dirname "$0")/.."

built=build/asan-torch
options=strict_string_checks=1:check_initialization_order=1:detect_stack_use_after_return=1

# Only here leaks are looked for: Python and torch's modules keep much to the end of the process.
# Nothing needs to be suppressed.
ASAN_OPTIONS=$options $built/tests/cpp/tidemark_torch_tests --gtest_brief=1

tests=("$@")
[ $# -gt 0 ] || tests=(tests/python/test_arena_exactness.py tests/python/test_leftovers.py)
# The modules of build/dev load the instrumented libraries of the same sources. libstdc++ comes along
# because the sanitizer looks for what throws exceptions before Python has loaded it.
preload=$(g++ -print-file-name=libasan.so)
preload+=" $(g++ -print-file-name=libubsan.so) $(g++ -print-file-name=libstdc++.so)"
LD_PRELOAD=$preload LD_LIBRARY_PATH=$PWD/$built/lib ASAN_OPTIONS=$options:detect_leaks=0 \
  python -m pytest -q "${tests[@]}"
