"""Rows of what happens around a step: threads, workers, errors, copies, other budgets."""

from __future__ import annotations

import copy
import io
import pickle
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from compatibility.rows import (
    CLASSES,
    WIDTH,
    Program,
    body,
    classify,
    image_body,
    images,
    row,
    sgd,
    vectors,
)

linear = nn.Linear


def deep() -> nn.Sequential:
    return body(nn.Dropout(0.1), linear(WIDTH, WIDTH), nn.GELU(), linear(WIDTH, WIDTH), nn.Tanh())


def in_another_thread(fn: Callable[[], object]) -> object:
    """Calls `fn` in a thread of its own and gives its result, or its error, back."""
    found: list[object] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            found.append(fn())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return found[0]


@row(unseen_bytes=-4, note="the gradient of the root is made before the step knows: 4 B uncounted")
def backward_from_another_thread() -> Program:
    model = deep()
    optimizer = sgd(model)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        in_another_thread(loss.backward)
        optimizer.step()
        return loss

    return Program(model, step, vectors, [optimizer])


@row()
def a_step_run_from_another_thread() -> Program:
    program = classify(deep())
    program.around = in_another_thread
    return program


@row()
def a_worker_thread_beside_the_step() -> Program:
    program = classify(deep())
    inner = program.step
    source, sine = torch.ones(64, 64), torch.ones(64, 64)

    def churn() -> None:  # without an allocation: the tests' counter counts every thread's
        for _ in range(200):
            torch.sin(source, out=sine)

    def step(x: torch.Tensor, y: torch.Tensor) -> object:
        thread = threading.Thread(target=churn)
        thread.start()
        loss = inner(x, y)
        thread.join()
        return loss

    program.step = step
    return program


def loading(num_workers: int) -> Program:
    data = TensorDataset(torch.randn(1024, WIDTH), torch.randint(0, CLASSES, (1024,)))
    loader = DataLoader(data, 128, num_workers=num_workers, shuffle=True)
    batches: Iterator[Any] = iter(loader)
    program = classify(deep(), lambda: tuple(next(batches)))
    program.others["loader"] = [len(loader)]
    return program


@row()
def data_loader() -> Program:
    return loading(0)


@row(unseen_bytes=None, note="batches lie in shared memory: counted from their first use in a step")
def data_loader_with_workers() -> Program:
    return loading(2)


@row(unseen_bytes=17408, note="memory of numpy counts from its first use in a step")
def batches_made_by_numpy() -> Program:
    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        x, y = vectors()
        return torch.from_numpy(x.numpy().copy()), torch.from_numpy(y.numpy().copy())

    return classify(deep(), batch)


@row()
def the_loss_read_and_printed() -> Program:
    program = classify(deep())
    inner, lines = program.step, []

    def step(x: torch.Tensor, y: torch.Tensor) -> object:
        loss = inner(x, y)
        lines.append(f"{float(loss):.6f} {loss.item() > 1} {loss.tolist()!r:.6}")
        return loss

    program.step, program.others = step, {"lines": lines}
    return program


@row(note="two of six steps are broken off by the user's own error", dynamic=True)
def interrupted_in_forward() -> Program:
    return interrupted(KeyboardInterrupt, in_backward=False)


@row(note="two of six steps are broken off by the user's own error", dynamic=True)
def interrupted_in_backward() -> Program:
    return interrupted(RuntimeError, in_backward=True)


def interrupted(error: type[BaseException], *, in_backward: bool) -> Program:
    """Half of every third step is done, then the user's code raises and the user catches it."""
    model = deep()
    optimizer = sgd(model)
    num_calls = [0]

    def fail(*args: object) -> None:
        num_calls[0] += 1
        if num_calls[0] % 3 == 0:
            raise error("the user's")

    middle = model[4]
    if in_backward:
        middle.register_full_backward_pre_hook(fail)
    else:
        middle.register_forward_pre_hook(fail)

    def step(x: torch.Tensor, y: torch.Tensor) -> object:
        optimizer.zero_grad()
        try:
            loss = functional.cross_entropy(model(x), y)
            loss.backward()
        except error:
            return None
        optimizer.step()
        return loss

    return Program(model, step, vectors, [optimizer])


@row(note="Ctrl-C in two of six steps; the exception leaves the step", dynamic=True)
def interrupted_from_the_keyboard() -> Program:
    program = classify(deep())
    num_steps = [0]
    linear_of_the_middle = program.model[4]

    def interrupt(*args: object) -> None:
        if num_steps[0] % 3 == 2:
            signal.raise_signal(signal.SIGINT)

    def around(whole_step: Callable[[], None]) -> None:
        with suppress(KeyboardInterrupt):
            whole_step()
        num_steps[0] += 1

    linear_of_the_middle.register_full_backward_hook(interrupt)
    program.around = around
    return program


@row(unseen_bytes=None, note="what is loaded lies in storages of torch's default allocator")
def results_pickled_and_copied() -> Program:
    model = deep()
    optimizer = sgd(model)

    def step(x: torch.Tensor, y: torch.Tensor) -> object:
        optimizer.zero_grad()
        hidden = model[:4](x)
        loss = functional.cross_entropy(model[4:](hidden), y)
        loss.backward()
        optimizer.step()
        again = pickle.loads(pickle.dumps(hidden.detach()))
        saved = io.BytesIO()
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, saved)
        loaded = torch.load(io.BytesIO(saved.getvalue()))
        return loss, again.sum(), copy.deepcopy(hidden.detach()).mean(), loaded["model"]["0.bias"]

    return Program(model, step, vectors, [optimizer])


@row()
def a_model_copied_in_the_step() -> Program:
    model = deep()
    optimizer = sgd(model)

    def step(x: torch.Tensor, y: torch.Tensor) -> object:
        optimizer.zero_grad()
        before = copy.deepcopy(model).eval()
        loss = functional.cross_entropy(model(x), y)
        with torch.no_grad():
            anchor = before(x)
        loss = loss + functional.mse_loss(model(x), anchor)
        loss.backward()
        optimizer.step()
        return loss

    return Program(model, step, vectors, [optimizer])


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(False)


@row(note="each model is another form of the step; both are planned", dynamic=True)
def models_in_turn() -> Program:
    programs = [classify(deep()), classify(body(nn.LayerNorm(WIDTH)))]
    num_steps = [0]

    def step(x: torch.Tensor, y: torch.Tensor) -> object:
        num_steps[0] += 1
        return programs[num_steps[0] % 2].step(x, y)

    models = nn.ModuleList([program.model for program in programs])
    return Program(models, step, vectors, [o for p in programs for o in p.optimizers])


@row()
def deterministic_algorithms() -> Program:
    places = torch.randint(0, 128, (128,))

    def fn(x: torch.Tensor) -> torch.Tensor:
        y = torch.zeros_like(x).index_add(0, places, x.sin())
        return y.index_put((places,), x, accumulate=True) + x[places]

    program = classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))
    inner = program.step

    def step(x: torch.Tensor, y: torch.Tensor) -> object:
        with deterministic():
            return inner(x, y)

    program.step = step
    return program


@row(note="what a cycle keeps alive dies when the collector runs", unseen_bytes=None, dynamic=True)
def tensors_in_reference_cycles() -> Program:
    class Trace:
        """Refers to itself, as many containers of activations do."""

        def __init__(self, tensor: torch.Tensor) -> None:
            self.tensor, self.me = tensor, self

    def fn(x: torch.Tensor) -> torch.Tensor:
        return Trace(x.sin()).tensor * x

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh()))


@row()
def activations_kept_by_the_user() -> Program:
    kept: dict[str, torch.Tensor] = {}
    model = deep()
    for name in ("1", "4"):
        model.get_submodule(name).register_forward_hook(
            lambda module, args, result, name=name: kept.__setitem__(name, result)
        )
    return classify(model, kept=kept)


@row()
def several_kernel_threads() -> Program:
    program = classify(image_body(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU()), images)
    inner = program.step

    def step(x: torch.Tensor, y: torch.Tensor) -> object:
        torch.set_num_threads(2)
        try:
            return inner(x, y)
        finally:
            torch.set_num_threads(1)

    program.step = step
    return program


@row(note="sizes differ from step to step", dynamic=True)
def ragged_batches() -> Program:
    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        size = int(torch.randint(64, 128, ()))
        return torch.randn(size, WIDTH), torch.randint(0, CLASSES, (size,))

    return classify(deep(), batch)


@row(note="evaluation is another form of the step; both are planned", dynamic=True)
def evaluation_between_training_steps() -> Program:
    model = deep()
    optimizer = sgd(model)
    num_steps = [0]

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        num_steps[0] += 1
        if num_steps[0] % 2 == 0:
            model.eval()
            with torch.no_grad():
                loss = functional.cross_entropy(model(x), y)
            model.train()
            return loss
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(model, step, vectors, [optimizer])
