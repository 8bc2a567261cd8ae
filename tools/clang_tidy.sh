#!/usr/bin/env bash
# Runs clang-tidy over every C++ source, as build/dev compiles it. Usage: clang_tidy.sh [jobs]
# Version 16: older ones cannot read the ranges of libstdc++ 12, newer ones have other rules.
set -euo pipefail
cd "$(dirname "$0")/.."

database=build/tidy
mkdir -p "$database"
# clang cannot read gcc's precompiled headers and does not know some of its flags.
sed -e 's/-Winvalid-pch//g; s/-fpch-preprocess//g; s/-Wno-restrict//g' \
  -e 's/-fno-fat-lto-objects//g; s/-include [^ ]*cmake_pch\.hxx//g' \
  build/dev/compile_commands.json >"$database/compile_commands.json"
find csrc tests benchmarks python/bindings -name '*.cc' -print0 |
  xargs -0 -P "${1:-2}" -n 1 clang-tidy-16 --quiet --warnings-as-errors='*' -p "$database"
