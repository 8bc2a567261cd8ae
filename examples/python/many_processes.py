"""Trains a small GPT in several processes, every one inside a budget of its own.

Usage: torchrun --nproc_per_node 2 examples/python/many_processes.py --budget "28 MiB"
       the same with --sharded: FSDP2 (fully_shard) in place of DistributedDataParallel
       the same without --budget: stock torch; the fingerprint of the weights must be the same
"""

from __future__ import annotations

import argparse
import hashlib
from contextlib import nullcontext

import tidemark
import torch
import torch.distributed as dist
from gpt import Gpt, GptConfig, Text
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

CONTEXT = 64


def make_model(text: Text, sharded: bool) -> nn.Module:
    torch.manual_seed(0)
    model = Gpt(GptConfig(vocabulary=text.vocabulary, layers=4, width=96, context=CONTEXT))
    if not sharded:
        return DistributedDataParallel(model)
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def train(budget: tidemark.MemoryBudget | None, sharded: bool, steps: int) -> nn.Module:
    text = Text.of_the_python_manual()
    model = make_model(text, sharded)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    torch.manual_seed(dist.get_rank())  # every process drops out what it likes
    batches = text.batches(8, CONTEXT, seed=dist.get_rank())
    for (x, y), _ in zip(batches, range(steps), strict=False):
        with budget.step() if budget else nullcontext():
            loss = functional.cross_entropy(model(x).flatten(0, 1), y.flatten())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return model


def fingerprint(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for parameter in model.parameters():
        local = parameter.to_local() if hasattr(parameter, "to_local") else parameter
        digest.update(local.detach().numpy().tobytes())
    return digest.hexdigest()[:16]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--budget", nargs="+", help="for all processes, or one each")
    parser.add_argument("--sharded", action="store_true", help="FSDP2 in place of DDP")
    parser.add_argument("--steps", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    budget = None
    if arguments.budget:
        budget = tidemark.MemoryBudget(arguments.budget[rank % len(arguments.budget)])
    model = train(budget, arguments.sharded, arguments.steps)
    line = f"rank {rank}: weights {fingerprint(model)}"
    if budget:
        steps, last = budget.steps, budget.last_step
        line += f", {steps.watched} watched, {steps.planned} planned, peak {budget.peak_bytes} B"
        line += f", {last.num_replays} ops computed again in the last step"
    print(line + "\n", end="", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
