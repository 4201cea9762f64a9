"""Several processes train one model as if they were one: Hugging Face accelerate is the engine.

    accelerate launch --num_processes 2 -m minipi0.train --data … --out …

Every process takes its share of every batch, and the gradients are averaged. Usually each has the
whole model. With shard=True the weights that are trained, their gradients, moments and average are
shared out too (FSDP), and a layer is put together only while it computes.
Without an accelerator, the one process has all.
"""

import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

from minipi0.checkpoint import run

# what is put together at a time, and by which methods it computes (forward: torch knows)
LAYERS = {"Layer": ("project", "project_kv", "finish"), "SiglipEncoderLayer": ()}


class Team:
    """The processes that share every batch.

    accelerator: accelerate.Accelerator, or None for a single process.
    sharded: whether the weights are shared out too.
    size: how many there are. first: whether this is the one that writes and reports.
    """

    def __init__(self, accelerator=None, shard: bool = False):
        self.accelerator = accelerator
        if shard and accelerator is None:
            raise ValueError("weights are shared out between processes, and there is only one")
        self.sharded = shard
        self.size = accelerator.num_processes if accelerator else 1
        self.rank = accelerator.process_index if accelerator else 0
        self.first = self.rank == 0
        self.shared: nn.Module | None = None

    def mine(self, whole: Tensor) -> Tensor:
        """This process's share of what there is for a whole batch, along the first axis."""
        return whole.tensor_split(self.size)[self.rank]

    def shard(self, model: nn.Module) -> None:
        """Share the weights out, where that is asked for.

        accelerate's own wrapper looks at `forward` alone. pi0's layers have other methods: torch is
        told of them here.
        Raises ValueError for frozen weights: beside them, the rest fits one card.
        """
        if not self.sharded:
            return
        if not all(parameter.requires_grad for parameter in model.parameters()):
            raise ValueError("weights are shared out only where all are trained: not with freeze")
        mesh = init_device_mesh(self.accelerator.device.type, (self.size,))
        for module in list(model.modules()):
            methods = LAYERS.get(type(module).__name__)
            if methods is not None:
                fully_shard(module, mesh=mesh)
                for method in methods:
                    register_fsdp_forward_method(module, method)
        fully_shard(model, mesh=mesh)
        register_fsdp_forward_method(model, "loss")

    def share(self, loss_of, model: nn.Module):
        """The loss as a function whose gradients are averaged over the processes."""
        if self.sharded:
            self.shared = model
            return model.loss
        if self.size == 1:
            return loss_of
        self.shared = self.accelerator.prepare(_Loss(loss_of, model))
        return self.shared

    def last(self, is_last: bool):
        """A context for one part of a batch: gradients are exchanged after the last one only."""
        if self.sharded:
            self.shared.set_requires_gradient_sync(is_last)
        if self.sharded or self.shared is None or is_last:
            return nullcontext()
        return self.accelerator.no_sync(self.shared)

    def sum(self, x: Tensor) -> Tensor:
        """A number, summed over the processes."""
        if self.size == 1:
            return x
        return self.accelerator.reduce(x.to(self.accelerator.device), "sum").cpu()

    def lost(self, error: RuntimeError) -> bool:
        """Whether an error says that another process is gone."""
        words = ("connection", "gloo", "nccl", "timed out")
        return self.size > 1 and any(word in str(error).lower() for word in words)

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            self.accelerator.wait_for_everyone()


def join(out: Path):
    """accelerate's engine where `accelerate launch` started several processes, else None.

    out: the run's folder, for the message when the launcher ends this process because another one
        is gone.
    Raises ValueError for float16.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return None
    from accelerate import Accelerator, DistributedDataParallelKwargs  # seconds to import

    # pi0 never uses the last VLM layer's own output: its weights get no gradient
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=[unused])
    if accelerator.num_processes == 1:
        raise ValueError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but accelerate finds 1 process"
        )
    if accelerator.mixed_precision == "fp16":
        raise ValueError("float16 overflows in this model: take --mixed_precision bf16")

    def ended(*_) -> None:
        there = (out / run.STATE).exists()
        kept = f"the state in {out} goes on with --resume" if there else "no state was saved yet"
        rank = accelerator.process_index
        message = f"another process of this job ended, so process {rank} ends too; {kept}"
        print(f"minipi0.train: {message}", file=sys.stderr, flush=True)
        os._exit(1)

    signal.signal(signal.SIGTERM, ended)  # what the launcher sends when one of them is gone
    return accelerator


class _Loss(nn.Module):
    """A model whose forward is its loss: what averages gradients watches `forward`."""

    def __init__(self, loss_of, model: nn.Module):
        super().__init__()
        self.model, self.loss_of = model, loss_of

    def forward(self, *args, **kwargs):
        return self.loss_of(*args, **kwargs)
