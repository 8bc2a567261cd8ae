"""The frozen surface: changing what users can call is a deliberate difference in this file."""

import argparse
import inspect

import tidemark
from tidemark.cli import build_parser

NAMES = {
    *("BudgetExceeded", "BudgetInfeasible", "Buffer", "Estimate", "Frontier", "MemoryBudget"),
    *("NotSupported", "Packing", "Plan", "PlanMismatch", "ReplayMismatch", "Report", "Simulation"),
    *(
        "StepCounts",
        "StepGraph",
        "UnseenWrite",
        "Violation",
        "auto_checkpoint",
        "checkpoint",
        "debug",
        "estimate",
    ),
    *("format_bytes", "frontier", "generate", "generated_models", "make_report", "MaxBatch"),
    *("Explanation", "explain"),
    *("inference", "inplace", "least_memory", "max_batch", "optimizer_in_backward"),
    *("pack", "parse_bytes", "plan", "policies", "record", "simulate", "validate", "verify"),
}

COMMANDS = {
    "record": {"target", "--output", "--fake", "--json"},
    "estimate": {"target", "--device", "--fits", "--json"},
    "plan": {
        *("step", "--budget", "--max-slowdown", "--keep", "--recompute", "--policy"),
        *("--time-limit", "--output", "--json"),
    },
    "frontier": {"step", "--points", "--budgets", "--policy", "--plot", "--json"},
    "simulate": {"step", "--plan", "--json"},
    "pack": {
        *("files", "--capacity", "--alignment", "--block-limit", "--time-limit"),
        *("--output", "--picture", "--json"),
    },
    "explain": {"step", "--plan", "--scope", "--json"},
    "generate": {
        *("model", "--output", "--batch", "--size", "--device", "--dtype", "--optimizer"),
        "--json",
    },
    "profile": {"--output", "--json"},
    "doctor": {"--json"},
}

SIGNATURES = {
    "debug": "()",
    "checkpoint": "(fn, *args, **kwargs)",
    "plan": (
        "(graph, budget, *, policy='auto', time_limit=10.0, keep=(), recompute=(), effort=1.0, "
        "progress=None, least_feasible=False)"
    ),
    "least_memory": (
        "(graph, *, max_slowdown=1.33, policy='auto', time_limit=10.0, keep=(), recompute=())"
    ),
    "max_batch": (
        "(small, large, budget, *, batches, max_slowdown=1.33, policy='auto', time_limit=10.0)"
    ),
    "frontier": "(graph, budgets=None, *, points=12, policy='auto')",
    "optimizer_in_backward": "(optimizer, *, groups=(), before_update=None)",
    "inplace": "(model, graph)",
    "inference": "(*, release=False, poison=False)",
    "explain": "(graph, plan, *, scope='', max_values=20)",
    "generate": (
        "(model, *, batch=None, size=None, device='cpu', dtype='float32', optimizer='sgd')"
    ),
    "simulate": "(graph, plan=None)",
    "pack": (
        "(buffers, *, capacity=None, alignment=1, block_limit=None, forbidden=(), "
        "time_limit=10.0, work_limit=None)"
    ),
    "validate": "(graph, plan)",
    "parse_bytes": "(memory, *, device_bytes=None)",
    "make_report": "(graph, plan=None, *, steps=None, measured_peak_bytes=None, arena=None)",
}

INTEGRATION = "(memory: 'int | str | None', **options: 'Any') -> 'None'"


def words_of(parser: argparse.ArgumentParser) -> set[str]:
    return {
        max(action.option_strings, key=len) if action.option_strings else action.dest
        for action in parser._actions
        if not isinstance(action, argparse._HelpAction)
    }


def test_public_names_are_frozen() -> None:
    assert set(tidemark.__all__) == NAMES
    assert set(dir(tidemark)) >= NAMES


def test_names_of_integrations_are_frozen() -> None:
    from tidemark.integrations import lightning, transformers

    assert str(inspect.signature(lightning.MemoryBudgetCallback)) == INTEGRATION
    assert str(inspect.signature(transformers.TidemarkCallback)) == INTEGRATION


def test_commands_and_flags_are_frozen() -> None:
    (commands,) = (
        action.choices
        for action in build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    assert {name: words_of(parser) for name, parser in commands.items()} == COMMANDS


def test_signatures_are_frozen() -> None:
    for name, expected in SIGNATURES.items():
        signature = inspect.signature(getattr(tidemark, name))
        bare = signature.replace(
            parameters=[
                parameter.replace(annotation=inspect.Parameter.empty)
                for parameter in signature.parameters.values()
            ],
            return_annotation=inspect.Signature.empty,
        )
        assert str(bare) == expected, name


def test_errors_are_what_callers_already_catch() -> None:
    assert issubclass(tidemark.BudgetInfeasible, ValueError)
    assert issubclass(tidemark.PlanMismatch, ValueError)
    assert issubclass(tidemark.ReplayMismatch, RuntimeError)
    assert issubclass(tidemark.NotSupported, NotImplementedError)
