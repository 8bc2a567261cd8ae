"""The command `tidemark`: its words, flags and worked examples. commands.py does the work."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from tidemark import commands
from tidemark._core import version
from tidemark.generation import generated_models
from tidemark.plan import policies

EXIT_USAGE = 2
_EXIT_INTERRUPTED = 130  # as shells have it for SIGINT

_TARGET_HELP = (
    "train.py:make_step or package.module:make_step: a function that builds model, data and "
    "optimizer and returns a callable running one training step"
)
_POLICY_HELP = f"one of {', '.join(policies())} (default: auto)"

_EPILOG = """\
examples:
  tidemark record train.py:make_step -o step.json     run the step, write it as data
  tidemark estimate train.py:make_step --fits 80GiB   will it fit? nothing is allocated
  tidemark plan step.json --budget 6GiB -o plan.json  plan without torch or a device
  tidemark frontier step.json --plot curve.svg        what does each budget cost?
  tidemark pack step.json --picture layout.svg        addresses in the lowest arena
  tidemark explain step.json --plan plan.json         why is this kept, that recomputed?
  tidemark generate resnet50 -o step.json             a step of a model that is not here
  tidemark doctor                                     can the runtime work here?

TARGET is train.py:make_step, a function that builds everything and returns a callable
running one step. Sizes are strict: 6GiB is 6 * 2**30 bytes, 6GB is 6 * 10**9.
Every command has --json; the exit code is the answer.
"""

_RECORD = """\
examples:
  tidemark record train.py:make_step -o step.json
  tidemark record train.py:make_step -o step.json --fake cpu   nothing is computed or allocated

exit code: 0 recorded, 2 usage
"""

_ESTIMATE = """\
examples:
  tidemark estimate train.py:make_step
  tidemark estimate train.py:make_step --fits 80GiB && sbatch job.sh

exit code: 0 it fits (or nothing was asked), 1 it does not, 2 usage
"""

_PLAN = """\
examples:
  tidemark plan step.json --budget 6GiB
  tidemark plan step.json --budget 6GiB -o plan.json --json
  tidemark plan step.json --budget 6GiB --keep lm_head --recompute 'h.*.mlp'
  tidemark plan step.json --max-slowdown 1.33         the least memory for a third more time
  tidemark plan step.json --budget 6GiB --policy exact --time-limit 60   the optimum of a small step

exit code: 0 planned, 1 infeasible (prints the least budget), 2 usage
"""

_FRONTIER = """\
examples:
  tidemark frontier step.json
  tidemark frontier step.json --budgets 4GiB,6GiB,8GiB --plot curve.svg

exit code: 0, 2 usage
"""

_SIMULATE = """\
examples:
  tidemark simulate step.json
  tidemark simulate step.json --plan plan.json --json

exit code: 0, 1 the plan is not valid for this step, 2 usage
"""

_PACK = """\
examples:
  tidemark pack step.json                       addresses for what the step allocates
  tidemark pack lifetimes.csv --capacity 6GiB -o addresses.csv --picture layout.svg
  tidemark pack *.csv --json                    many at once

FILE is a recorded step (.json) or CSV with the columns id,lower,upper,size: a lifetime is
[lower, upper). Further columns: alignment, and fixed (an offset it must have).

exit code: 0 packed, 1 infeasible (says which buffers exclude each other), 2 usage,
           3 time out: it does not fit yet; the best layout is written
"""

_EXPLAIN = """\
examples:
  tidemark explain step.json --plan plan.json
  tidemark explain step.json --plan plan.json --scope layers.3

exit code: 0, 2 usage
"""

_GENERATE = """\
examples:
  tidemark generate resnet1001 -o step.json
  tidemark generate gpt2_xl --dtype bfloat16 --optimizer adamw --device h100 -o step.json
  tidemark profile -o here.json && tidemark generate unet --device here.json -o step.json

models: {models}

exit code: 0 written, 2 usage
"""

_PROFILE = """\
examples:
  tidemark profile -o here.json

exit code: 0 written, 2 usage
"""

_DOCTOR = """\
examples:
  tidemark doctor
  tidemark doctor --json

exit code: 0 the runtime can work here, 1 it cannot
"""


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="tidemark",
        description="Holds a PyTorch training step to a memory budget given in bytes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tidemark {version}")
    words = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_record(words)
    _add_estimate(words)
    _add_plan(words)
    _add_frontier(words)
    _add_simulate(words)
    _add_pack(words)

    _add_explain(words)
    _add_generate(words)
    _add_profile(words)
    _add(words, "doctor", "what is here, what works, what is risky", _DOCTOR, commands.doctor)
    return parser


_Words = argparse._SubParsersAction  # what add_subparsers returns; argparse has no public name


def _add(
    words: _Words[argparse.ArgumentParser],
    name: str,
    help_text: str,
    epilog: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser = words.add_parser(
        name,
        help=help_text,
        description=help_text[0].upper() + help_text[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON: bytes and nanoseconds")
    parser.set_defaults(run=run)
    return parser


def _add_record(words: _Words[argparse.ArgumentParser]) -> None:
    text = "runs a training step and writes it as data"
    parser = _add(words, "record", text, _RECORD, commands.record)
    parser.add_argument("target", metavar="TARGET", help=_TARGET_HELP)
    parser.add_argument("-o", "--output", metavar="STEP", required=True, help="file to write")
    parser.add_argument(
        "--fake", metavar="DEVICE", help="on fake tensors of this device: nothing is computed"
    )


def _add_estimate(words: _Words[argparse.ArgumentParser]) -> None:
    text = "estimates peak and breakdown of a step, without device or data"
    parser = _add(words, "estimate", text, _ESTIMATE, commands.estimate)
    parser.add_argument("target", metavar="TARGET", help=_TARGET_HELP)
    parser.add_argument("--device", default="cpu", help="the device meant (default: cpu)")
    parser.add_argument("--fits", metavar="SIZE", help="exit with 1 unless it fits in this")


def _add_plan(words: _Words[argparse.ArgumentParser]) -> None:
    text = "makes a plan and says what it promises"
    parser = _add(words, "plan", text, _PLAN, commands.plan)
    parser.add_argument("step", metavar="STEP", help="a recorded step, JSON")
    goal = parser.add_mutually_exclusive_group(required=True)
    goal.add_argument("--budget", metavar="SIZE", help="for example 6GiB")
    slowdown = "the least memory for at most this many times the step's time, for example 1.33"
    goal.add_argument("--max-slowdown", metavar="F", type=float, help=slowdown)
    wish = "a module path, op or category, * for any text; may be given again"
    parser.add_argument(
        "--keep", metavar="P", action="append", default=[], help=f"never compute again: {wish}"
    )
    parser.add_argument(
        "--recompute", metavar="P", action="append", default=[], help=f"always drop: {wish}"
    )
    parser.add_argument("--policy", default="auto", help=_POLICY_HELP)
    parser.add_argument(
        "--time-limit", metavar="S", type=float, default=10.0, help="seconds (default: 10)"
    )
    parser.add_argument("-o", "--output", metavar="PLAN", help="write the plan to this file")


def _add_frontier(words: _Words[argparse.ArgumentParser]) -> None:
    text = "shows budget against predicted step time"
    parser = _add(words, "frontier", text, _FRONTIER, commands.frontier)
    parser.add_argument("step", metavar="STEP", help="a recorded step, JSON")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--points", type=int, default=12, help="how many budgets (default: 12)")
    which.add_argument("--budgets", metavar="A,B,C", help="these budgets instead")
    parser.add_argument("--policy", default="auto", help=_POLICY_HELP)
    parser.add_argument("--plot", metavar="FILE", help="draw it too: .svg, .png or .pdf")


def _add_simulate(words: _Words[argparse.ArgumentParser]) -> None:
    text = "shows peak, live bytes and cost of a step, and validates a plan for it"
    parser = _add(words, "simulate", text, _SIMULATE, commands.simulate)
    parser.add_argument("step", metavar="STEP", help="a recorded step, JSON")
    parser.add_argument("--plan", metavar="PLAN", help="a plan for it, JSON")


def _add_pack(words: _Words[argparse.ArgumentParser]) -> None:
    text = "gives buffers with fixed lifetimes addresses in one arena"
    parser = _add(words, "pack", text, _PACK, commands.pack)
    parser.add_argument("files", metavar="FILE", nargs="+", help="a step, JSON, or lifetimes, CSV")
    parser.add_argument("--capacity", metavar="SIZE", help="stop as soon as it fits in this")
    parser.add_argument(
        "--alignment",
        metavar="BYTES",
        type=int,
        default=1,
        help="of offsets and sizes (default: 1)",
    )
    parser.add_argument(
        "--block-limit", metavar="SIZE", help="several arenas of this size instead of one"
    )
    parser.add_argument(
        "--time-limit", metavar="S", type=float, default=10.0, help="seconds (default: 10)"
    )
    parser.add_argument("-o", "--output", metavar="CSV", help="write the addresses to this file")
    parser.add_argument("--picture", metavar="SVG", help="draw the layout to this file")


def _add_explain(words: _Words[argparse.ArgumentParser]) -> None:
    text = "says why a plan keeps what it keeps, and what more memory would buy"
    parser = _add(words, "explain", text, _EXPLAIN, commands.explain)
    parser.add_argument("step", metavar="STEP", help="a recorded step, JSON")
    parser.add_argument("--plan", metavar="PLAN", required=True, help="a plan for it, JSON")
    parser.add_argument("--scope", default="", help="only this module and those below it")


def _add_generate(words: _Words[argparse.ArgumentParser]) -> None:
    text = "writes the step of a well-known model, without running it"
    epilog = _GENERATE.format(models=", ".join(generated_models()))
    parser = _add(words, "generate", text, epilog, commands.generate)
    parser.add_argument("model", metavar="MODEL", help="for example resnet50, see below")
    parser.add_argument("-o", "--output", metavar="STEP", required=True, help="file to write")
    parser.add_argument("--batch", type=int, help="samples in a step")
    parser.add_argument("--size", type=int, help="side of an image, tokens of a sequence")
    device = "cpu, v100, a100, h100, rtx4090, or a file of `tidemark profile` (default: cpu)"
    parser.add_argument("--device", default="cpu", help=device)
    parser.add_argument("--dtype", default="float32", help="float32, bfloat16 or float16")
    parser.add_argument("--optimizer", default="sgd", help="sgd, adamw or none (default: sgd)")


def _add_profile(words: _Words[argparse.ArgumentParser]) -> None:
    text = "measures this machine, for the costs of generated steps"
    parser = _add(words, "profile", text, _PROFILE, commands.profile)
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="file to write")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code.

    Args:
        arguments: the words after `tidemark`; without them those of the process.

    Returns:
        0 for yes, 1 for no, 2 for a mistake in the words or the files, 130 after Ctrl-C.

    Example:
        >>> main(["simulate", "step.json", "--json"])  # doctest: +ELLIPSIS
        {...
        0
    """
    options = build_parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except (ValueError, TypeError, OSError, ImportError, NotImplementedError) as error:
        print(f"tidemark: {error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("tidemark: interrupted", file=sys.stderr)
        return _EXIT_INTERRUPTED
    return code


if __name__ == "__main__":
    sys.exit(main())
