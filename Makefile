# `make` lists the targets. Every target does its own set-up; a second run reuses the first.

VENV := $(or $(VIRTUAL_ENV),$(CURDIR)/.venv)
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
export PATH := $(VENV)/bin:$(PATH)
export PYTHONPATH := $(CURDIR)/python

CONFIGURE := cmake -DPython3_EXECUTABLE=$(VENV)/bin/python --log-level=WARNING --preset
BUILD := cmake --build --parallel $(JOBS) --preset

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help setup build modules demo test test-all sanitize sanitize-torch fuzz fuzz-readers bench lint format clean

help:  ## list the targets
	@echo "make TARGET, where TARGET is one of"
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

setup:  ## system packages, virtual environment, torch, tools (once)
	@tools/setup.sh

build: setup  ## configure and compile everything into build/dev and python/tidemark
	@$(CONFIGURE) dev
	@$(BUILD) dev

modules: setup
	@$(CONFIGURE) dev
	@$(BUILD) dev --target tidemark_modules

demo: modules  ## train a small GPT on real text inside half its memory
	@python examples/python/train_gpt.py

test: build  ## formatting, lint, types, C++ tests, Python tests
	@tools/check.sh
	@rm -f build/dev/tests/*/*_tests.cmake  # which tests there are hangs on TIDEMARK_TEST_ALL
	@ctest --preset dev
	@$(MAKE) --no-print-directory sanitize
	@tools/pytest.sh

test-all: export TIDEMARK_TEST_ALL = 1
test-all: test  ## the same with the full grids of models and budgets, and all sanitizers
	@$(BUILD) asan
	@env -u TIDEMARK_TEST_ALL ctest --preset asan  # the grids have run above; here, every case once
	@$(MAKE) --no-print-directory sanitize-torch
	@cmake --preset tsan --log-level=WARNING
	@$(BUILD) tsan --target tidemark_core_tests
	@build/tsan/tests/cpp/tidemark_core_tests --gtest_brief=1 --gtest_filter="Concurrency.*"

sanitize: setup  ## hostile text for the readers, under the address and undefined-behaviour sanitizers
	@cmake --preset asan --log-level=WARNING
	@$(BUILD) asan --target tidemark_fuzz_tests
	@build/asan/tests/fuzz/tidemark_fuzz_tests --gtest_brief=1

sanitize-torch: build  ## what drives the runtime hardest, under the same sanitizers
	@$(CONFIGURE) asan-torch
	@$(BUILD) asan-torch --target tidemark_torch_tests
	@tools/sanitize_torch.sh

SECONDS ?= 600
SEED ?= 1
fuzz: modules  ## random training programs against stock torch: make fuzz SECONDS=600 SEED=7
	@cmake --build build/dev --target tidemark_counting_allocator
	@PYTHONPATH=$(CURDIR)/tests/python:$(PYTHONPATH) python -m fuzzing $(SECONDS) $(SEED)

# Below 16, clang cannot read the ranges of libstdc++ 12.
CLANG ?= $(firstword $(foreach version,22 21 20 19 18 17 16,$(shell command -v clang++-$(version))) clang++)
READERS := graph plan bytes profile lifetimes
fuzz-readers: setup  ## hostile text for the readers, by libFuzzer: make fuzz-readers SECONDS=600
	@command -v $(CLANG) >/dev/null || { echo "please run: apt-get install clang-16"; exit 1; }
	@cmake --preset fuzzer --log-level=WARNING -DCMAKE_CXX_COMPILER=$(CLANG)
	@$(BUILD) fuzzer --target $(READERS:%=tidemark_%_fuzzer)
	@for reader in $(READERS); do \
	  mkdir -p out/fuzz/$$reader; \
	  build/fuzzer/tests/fuzz/tidemark_$${reader}_fuzzer -max_total_time=$(SECONDS) -seed=$(SEED) \
	    -timeout=10 -rss_limit_mb=1024 -max_len=65536 -artifact_prefix=out/fuzz/$$reader- \
	    out/fuzz/$$reader tests/fuzz/corpus/$$reader || exit 1; \
	done

bench: setup  ## measure, in C++ and in Python; results go to out/
	@$(CONFIGURE) release
	@$(BUILD) release
	@mkdir -p out
	@for half in core torch; do \
	  build/release/benchmarks/cpp/tidemark_$${half}_benchmarks --benchmark_out=out/$${half}.json || exit 1; \
	done
	@python benchmarks/python/budget_vs_throughput.py
	@python benchmarks/python/overhead.py
	@python benchmarks/python/arena.py
	@python benchmarks/python/policies.py
	@python benchmarks/python/nntrainer.py

lint: build  ## clang-tidy over all C++ sources (slow), then the quick checks
	@command -v clang-tidy-16 >/dev/null || { echo "please run: apt-get install clang-tidy-16"; exit 1; }
	@tools/clang_tidy.sh $(JOBS)
	@tools/check.sh

format: setup  ## rewrite all sources in the project's format
	@find csrc tests examples benchmarks python/bindings cmake -name "*.h" -o -name "*.cc" 2>/dev/null | xargs clang-format -i
	@ruff check --quiet --fix-only .
	@ruff format --quiet .

clean:  ## remove what was built; the virtual environment stays
	rm -rf build out python/tidemark/*.so
