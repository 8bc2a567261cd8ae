"""Writes random training programs and compares each with stock torch.

programs.py   a hypothesis strategy of programs: Python source that defines `make` and `step`
writer.py     the source as it grows: what is named so far, of which shape
ops.py        what a forward pass is made of
blocks.py     control flow and contexts around ops
steps.py      losses, backward passes and optimizers
switches.py   what a program may switch on that changes how it runs, and never its numbers
judge.py      runs a program with and without a budget and says what differs
hunt.py       looks for programs that differ: isolated, shrunk, written to a file
"""
