"""Rows that work in part: what is compiled, wrapped or foreign is kept whole and planned around."""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import suppress
from tempfile import mkdtemp
from typing import Any

import torch
import torch._dynamo
import torch._dynamo.compiled_autograd
import torch.distributed as dist
from torch import nn
from torch.distributed import autograd as dist_autograd
from torch.distributed import rpc
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn import functional

from compatibility.rows import SAMPLES, WIDTH, Program, body, classify, row, sgd, vectors

linear = nn.Linear


def block() -> nn.Sequential:
    return nn.Sequential(linear(WIDTH, WIDTH), nn.GELU(), linear(WIDTH, WIDTH), nn.Tanh())


def compiled(backend: str) -> Program:
    torch._dynamo.reset()
    return classify(body(torch.compile(block(), backend=backend), block(), nn.Dropout(0.1)))


# Dynamo guards on global module hooks, which watched steps have and planned ones have not: it
# compiles once for each, and a step that compiles is like no other.
@row(note="kept whole; compiles once more for the first planned step", dynamic=True)
def a_compiled_submodule() -> Program:
    return compiled("aot_eager")


@row(note="as above, by torch's own code generator", full=True, dynamic=True)
def a_submodule_compiled_to_code() -> Program:
    return compiled("inductor")


@row(note="autograd saves as ever and is planned around", full=True, dynamic=True)
def a_submodule_compiled_without_autograd() -> Program:
    return compiled("eager")


@row(note="one op for the runtime: nothing of it can be dropped, so it only counts", dynamic=True)
def a_whole_compiled_model() -> Program:
    torch._dynamo.reset()
    return classify(torch.compile(body(block(), block()), backend="aot_eager"))


@row(note="sparse operands are kept, what is made of them is planned")
def sparse_matrices() -> Program:
    mask = (torch.arange(SAMPLES**2).view(SAMPLES, SAMPLES) % 7 == 0).float()
    adjacency = mask.to_sparse_coo()
    rows = mask.to_sparse_csr()

    def fn(x: torch.Tensor) -> torch.Tensor:
        return torch.sparse.mm(adjacency, x).tanh() * (rows @ x).sin()

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row(note="nested tensors are kept")
def nested_tensors() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        parts = torch.nested.nested_tensor_from_jagged(x, torch.tensor([0, 40, 70, SAMPLES]))
        return (parts * 2).sin().values() + x

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn, linear(WIDTH, WIDTH)))


@row(note="nested tensors are kept")
def nested_tensors_of_the_old_layout() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        parts = torch.nested.as_nested_tensor(list(x.split([40, 30, SAMPLES - 70])))
        return torch.cat([part.tanh() for part in (parts * 2).unbind()]) + x

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn, linear(WIDTH, WIDTH)))


@row()
def quantization_aware_training() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        scale, zero = torch.tensor(0.05), torch.tensor(0, dtype=torch.int32)
        return torch.fake_quantize_per_tensor_affine(x, scale, zero, -128, 127)

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row(note="quantized tensors are kept")
def quantized_tensors() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        levels = torch.quantize_per_tensor(x.detach(), 0.05, 0, torch.qint8)
        return x + (levels.dequantize() - x.detach())

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


class Scaled(torch.Tensor):
    """A wrapper without a storage: a tensor and a factor, unwrapped for every op."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Scaled:
        wrapper = torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)
        wrapper.inner = inner
        return wrapper

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        def plain(value: Any) -> Any:
            return value.inner if isinstance(value, Scaled) else value

        found = func(*torch.utils._pytree.tree_map(plain, args), **(kwargs or {}))
        return Scaled(found) if isinstance(found, torch.Tensor) else found


class Wrap(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return Scaled(x.clone())

    @staticmethod
    def backward(ctx: Any, grad: Any) -> torch.Tensor:
        return grad.inner if isinstance(grad, Scaled) else grad


class Unwrap(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> torch.Tensor:
        return x.inner.clone()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return Scaled(grad)


@row(note="what the wrapper holds is kept")
def tensor_subclasses() -> Program:
    def fn(x: torch.Tensor) -> torch.Tensor:
        return Unwrap.apply(Wrap.apply(x).sin() * 2)

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn, linear(WIDTH, WIDTH)))


@row(note="what a DTensor holds is kept", apart=True, dynamic=True)
def dtensors() -> Program:
    if not dist.is_initialized():
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    model = body(linear(WIDTH, 64), nn.GELU(), linear(64, WIDTH), nn.Tanh(), linear(WIDTH, WIDTH))
    mesh = init_device_mesh("cpu", (1,))
    parallelize_module(model, mesh, {"2": ColwiseParallel(), "4": RowwiseParallel()})
    return classify(model)


def remote_block(weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return torch.tanh(x @ weight)


@row(
    note="what torch's threads make and hold for it has their own time: no peak is promised",
    apart=True,
    dynamic=True,
    has_other_threads=True,
)
def rpc_autograd() -> Program:
    if not rpc.api._is_current_rpc_agent_set():
        options = rpc.TensorPipeRpcBackendOptions(init_method=f"file://{mkdtemp()}/store")
        rpc.init_rpc("worker", rank=0, world_size=1, rpc_backend_options=options)
        atexit.register(rpc.shutdown, graceful=False)
    model = body(block(), block())
    weight = torch.randn(WIDTH, WIDTH, requires_grad=True)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with dist_autograd.context() as context:
            hidden = rpc.rpc_sync("worker", remote_block, (weight, model[:2](x)))
            loss = functional.cross_entropy(model[2:](hidden), y)
            dist_autograd.backward(context, [loss])
            gradients = dist_autograd.get_gradients(context)
            with torch.no_grad():
                for parameter in (weight, *model.parameters()):
                    parameter -= 0.05 * gradients[parameter]
        return loss

    return Program(model, step, vectors, others={"weight": [weight]})


@row()
def a_plain_tensor_subclass() -> Program:
    class Named(torch.Tensor):
        pass

    def fn(x: torch.Tensor) -> torch.Tensor:
        return (x.as_subclass(Named).sin() * 2).as_subclass(torch.Tensor)

    return classify(body(fn, linear(WIDTH, WIDTH), nn.Tanh(), fn))


@row(note="one after the other: two at once are not one step", unseen_bytes=None)
def backward_in_two_threads() -> Program:
    models = nn.ModuleList([body(block()), body(block())])
    optimizer = sgd(models)

    def step(x: torch.Tensor, y: torch.Tensor) -> object:
        optimizer.zero_grad()
        losses = [functional.cross_entropy(model(x), y) for model in models]
        for loss in losses:
            thread = threading.Thread(target=loss.backward)
            thread.start()
            thread.join()
        optimizer.step()
        return losses

    return Program(models, step, vectors, [optimizer])


@row(message="tidemark: two threads work on one step at once")
def backward_in_two_threads_at_once() -> Program:
    models = nn.ModuleList([body(block()), body(block())])
    both_are_there = threading.Barrier(2, timeout=10)

    def meet(*args: object) -> None:
        """Neither is over before the other has begun; the refused one is not waited for."""
        with suppress(threading.BrokenBarrierError):
            both_are_there.wait()

    for model in models:
        model[-1].register_full_backward_hook(meet)

    def step(x: torch.Tensor, y: torch.Tensor) -> None:
        losses = [functional.cross_entropy(model(x), y) for model in models]
        errors: list[Exception] = []

        def backward(loss: torch.Tensor) -> None:
            try:
                loss.backward()
            except Exception as error:
                errors.append(error)
                both_are_there.abort()

        threads = [threading.Thread(target=backward, args=[loss]) for loss in losses]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for error in errors:
            raise error

    return Program(models, step, vectors)


@row(message="tidemark: compiled autograd cannot run a backward")
def compiled_autograd() -> Program:
    program = classify(body(block()))
    inner = program.step

    def step(x: torch.Tensor, y: torch.Tensor) -> object:
        with torch._dynamo.compiled_autograd._enable(torch.compile(backend="eager")):
            return inner(x, y)

    program.step = step
    return program


# torch's own words, as long as there are no steps on CUDA devices.
@row(message="Tried to instantiate dummy base class CUDAGraph")
def cuda_graphs() -> Program:
    program = classify(body(block()))
    inner = program.step

    def step(x: torch.Tensor, y: torch.Tensor) -> object:
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            return inner(x, y)

    program.step = step
    return program


@row(note="the child finds its tensors, and a step that it must not go on with")
def a_fork_inside_of_a_step() -> Program:
    program = classify(body(block()))
    inner, codes = program.step, []

    def step(x: torch.Tensor, y: torch.Tensor) -> object:
        loss = inner(x, y)
        child = os.fork()
        if child == 0:
            is_same = bool(torch.isfinite(x.sum() * program.model[0].weight.sum()))
            os._exit(0 if is_same else 1)
        codes.append(os.waitpid(child, 0)[1])
        return loss

    program.step, program.others = step, {"exit codes": codes}
    return program
