#!/usr/bin/env bash
# Makes this machine ready to build and test: system packages, a virtual environment, torch, tools.
#
# Safe to run again: what is there stays, and with nothing to do it takes a fraction of a second.
#   VIRTUAL_ENV   an active environment is used as it is; otherwise .venv is made
#   TORCH_INDEX   where to get torch from, e.g. https://download.pytorch.org/whl/cpu to spare
#                 gigabytes of CUDA libraries on a machine without a GPU
set -euo pipefail
cd "$(dirname "$0")/.."

TORCH=torch==2.13.0  # installed when none of 2.11 - 2.13 is there
PYTHON_HERE=${PYTHON:-python3}

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# System packages -----------------------------------------------------------------------------

# Looks for what a package brings, not for the package: it may have come another way.
has_header() { compgen -G "/usr/include/$1" >/dev/null || compgen -G "/usr/local/include/$1" >/dev/null; }
has_python_header() {
  "$PYTHON_HERE" -c 'import os, sysconfig as s, sys
sys.exit(not os.path.exists(os.path.join(s.get_path("include"), "Python.h")))'
}

missing_packages() {
  command -v c++ >/dev/null || echo g++
  command -v "$PYTHON_HERE" >/dev/null || { echo python3 python3-dev python3-venv; return; }
  has_python_header || echo python3-dev
  "$PYTHON_HERE" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
}

# Without these CMake fetches the sources, which takes a network and longer.
missing_libraries() {
  has_header gtest/gtest.h || echo libgtest-dev
  has_header benchmark/benchmark.h || echo libbenchmark-dev
  has_header nlohmann/json.hpp || echo nlohmann-json3-dev
  has_header fmt/format.h || echo libfmt-dev
}

missing_comforts() { command -v ccache >/dev/null || echo ccache; }

as_root() {
  if [ "$(id -u)" = 0 ]; then echo env; elif sudo -n true 2>/dev/null; then echo sudo env; else return 1; fi
}

install_system_packages() {
  local needed wanted root
  needed=$(missing_packages; missing_libraries)
  wanted=$(echo $needed $(missing_comforts))
  [ -n "$wanted" ] || return 0
  if ! command -v apt-get >/dev/null; then
    [ -z "$(missing_packages)" ] || fail "needs a C++20 compiler and Python >= 3.10 with headers and venv"
    say "no apt-get here: CMake will fetch what is missing of GoogleTest, Benchmark, json, fmt"
    return 0
  fi
  if ! root=$(as_root); then
    [ -n "$needed" ] || return 0
    fail "system packages are missing; please run:  sudo apt-get install -y $(echo $needed)"
  fi
  say "installing $wanted"
  local apt="$root DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300"
  $apt update || say "apt-get update failed, trying with the lists that are there"
  $apt install -y --no-install-recommends $wanted >/dev/null
}

# Python --------------------------------------------------------------------------------------

# Reads the metadata instead of importing torch, which would take seconds.
torch_is_supported() {
  "$1" - 2>/dev/null <<'PY'
import importlib.metadata as metadata
import sys

version = tuple(int(part) for part in metadata.version("torch").split(".")[:2])
sys.exit(not (2, 11) <= version <= (2, 13))
PY
}

make_environment() {
  "$PYTHON_HERE" -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
    || fail "$PYTHON_HERE is older than Python 3.10; name a newer one with PYTHON=..."
  [ -z "${VIRTUAL_ENV:-}" ] || return 0
  [ -x .venv/bin/python ] && .venv/bin/python -c '' 2>/dev/null && return 0
  local options=()
  torch_is_supported "$PYTHON_HERE" && options=(--system-site-packages)
  say "making .venv"
  "$PYTHON_HERE" -m venv --clear "${options[@]}" .venv
}

install_python_packages() {
  local environment=${VIRTUAL_ENV:-$PWD/.venv} stamp hash
  local python=$environment/bin/python
  stamp=$environment/.tidemark-setup
  hash=$(cat pyproject.toml tools/setup.sh | sha256sum)
  torch_is_supported "$python" && [ "$(cat "$stamp" 2>/dev/null)" = "$hash" ] && return 0
  if ! torch_is_supported "$python"; then
    say "installing $TORCH into $environment (this is the large one)"
    "$python" -m pip install -q ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$TORCH"
  fi
  say "installing the build and test tools into $environment"
  "$python" tools/requirements.py dev plot exact >"$environment/tidemark-requirements.txt"
  "$python" -m pip install -q -r "$environment/tidemark-requirements.txt"
  echo "$hash" >"$stamp"
}

install_system_packages
make_environment
install_python_packages
