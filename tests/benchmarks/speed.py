"""minipi0 and transformers' PI0 side by side: the same weights, the same inputs, in one process,
taking turns.

    python tests/benchmarks/speed.py --json speed.json  # mid-size, 2 threads, about 10 minutes
    python tests/benchmarks/speed.py --device cuda --size full --dtype bfloat16  # on a GPU

Prints a table of medians and writes everything as JSON. Before anything is timed, the outputs are
compared. A training step is forward and backward, no optimiser; a sample is one chunk in ten Euler
steps. GFLOP/s next to what a plain matrix product reaches in the same run say how much there is
still to gain. Memory is the peak of a fresh process each. `--compile` adds the compiled variants,
and for sampling those with frozen weights: minutes of compiling.
"""

import argparse
import copy
import ctypes
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import reference as ref  # noqa: E402

from minipi0 import ExpertConfig, Pi0, Pi0Config, VisionConfig  # noqa: E402
from minipi0.compiled import compiled  # noqa: E402

STEPS = 10
ATOL = 2e-5
FROZEN = "frozen"  # compiled with its weights as constants: for sampling


def configuration(size: str) -> tuple[Pi0Config, int, int, int]:
    """Sizes, cameras, text tokens and training batch."""
    if size == "full":
        return Pi0Config.full(), 3, 48, 8
    if size == "tiny":
        return ref.tiny(depth=2), 2, 5, 2
    shared = dict(depth=8, num_heads=8, num_kv_heads=1, head_dim=64)
    mid = Pi0Config(
        vlm=ExpertConfig(width=512, mlp_dim=2048, **shared),
        action_expert=ExpertConfig(width=256, mlp_dim=1024, **shared),
        vision=VisionConfig(
            image_size=112, patch_size=14, width=384, depth=6, num_heads=6, mlp_dim=1536
        ),
        vocab_size=1000,
        action_dim=32,
        state_dim=32,
        horizon=50,
    )
    return mid, 2, 16, 8


def keep_freed_memory() -> None:
    """glibc gives freed memory back whenever enough of it lies at the heap's end, which is
    chance: 40 ms of page faults a step, or none.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for trim_or_mmap_threshold in (-1, -3):
            libc.mallopt(trim_or_mmap_threshold, 2**31 - 1)


def seconds_of(function, device: str) -> dict[str, float]:
    """One run: by the wall clock, and the process's CPU time (of all threads), which busy
    neighbours disturb less.
    """
    if device == "cuda":
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        function()
        end.record()
        end.synchronize()
        return {"wall": start.elapsed_time(end) / 1000, "cpu": float("nan")}
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def interleaved(functions: dict, device: str, repeats: int) -> dict[str, dict[str, float]]:
    """Every function once to warm up, then in turns, so that a busy spell of the machine hits
    all alike. Medians.
    """
    for function in functions.values():
        function()
    if device == "cuda":
        torch.cuda.synchronize()
    runs: dict[str, list] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            runs[name].append(seconds_of(function, device))
    return {
        name: {clock: statistics.median(run[clock] for run in taken) for clock in ("wall", "cpu")}
        | {"runs": taken}
        for name, taken in runs.items()
    }


class Case:
    """One training step and one sample, of minipi0 or the reference.

    Inputs and noise are the same for both.
    """

    def __init__(
        self,
        model,
        config: Pi0Config,
        cameras: int,
        tokens: int,
        batch: int,
        device: str,
        dtype: torch.dtype,
    ):
        self.model, self.theirs = model.to(device, dtype), not isinstance(model, Pi0)
        generator = torch.Generator().manual_seed(0)
        self.data = {}
        for n in (batch, 1):
            observation = ref.random_observation(config, n, cameras, tokens).to(device)
            observation.images, observation.state = (
                observation.images.to(dtype),
                observation.state.to(dtype),
            )
            actions, noise = torch.randn(
                2, n, config.horizon, config.action_dim, generator=generator
            ).to(device, dtype)
            tau = (torch.rand(n, generator=generator, dtype=torch.float64) * 0.999).to(device)
            inputs = ref.reference_inputs(observation, config) if self.theirs else observation
            self.data[n] = inputs, actions, noise, tau
        self.batch = batch
        self.loss = self._theirs if self.theirs else model.loss

    def _theirs(self, inputs, actions, noise, tau):
        return self.model(noise=noise, timestep=1 - tau, actions=actions, **inputs).loss

    def train(self):
        self.model.zero_grad()
        inputs, actions, noise, tau = self.data[self.batch]
        loss = self.loss(inputs, actions, noise=noise, tau=tau)
        loss.backward()
        return loss

    def sample(self):
        inputs, _, noise, _ = self.data[1]
        if self.theirs:
            return self.model.sample_actions(noise=noise, num_steps=STEPS, **inputs)
        return self.model.sample_actions(inputs, noise=noise, steps=STEPS)


def variants(cases: dict[str, Case], device: str) -> dict[str, dict]:
    """Name -> function, for training steps and for samples."""

    def bf16(function):
        def run():
            with torch.autocast(device, torch.bfloat16):
                return function()

        return run

    def checkpointed():
        experts = cases["minipi0"].model.experts
        experts.checkpointing = True
        cases["minipi0"].train()
        experts.checkpointing = False

    train = {
        name: case.train
        for name, case in cases.items()
        if "weights" not in name and FROZEN not in name
    }
    sample = {name: case.sample for name, case in cases.items()}
    for name in ("transformers", "minipi0"):
        train[f"{name}, bf16"], sample[f"{name}, bf16"] = (
            bf16(cases[name].train),
            bf16(cases[name].sample),
        )
    return {"training step": train | {"minipi0, checkpointing": checkpointed}, "sample": sample}


def compile_case(case: Case, frozen: bool = False) -> Case:
    """The same case with its model compiled, the reference's with the same settings; weights
    shared with the eager one unless frozen.
    """
    twin = copy.copy(case)
    twin.model = (
        copy.deepcopy(case.model) if frozen else copy.copy(case.model)
    )  # shallow: the new methods are on this one only
    if case.theirs:
        twin.model.forward = compiled(twin.model.forward, twin.model, frozen)
        twin.loss = twin._theirs
    else:
        twin.model.compile(frozen)
        twin.loss = compiled(case.model.loss, case.model)  # in one piece, as train.fit does it
    return twin


def matmul(n: int, device: str, dtype: torch.dtype):
    a, b = torch.randn(2, n, n, device=device).to(dtype)
    return lambda: a @ b


def gflop(function) -> float:
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops() / 1e9


def memory_of(which: str, args) -> dict[str, float]:
    """A training step in a fresh process: its peak, and how far that lies above the peak before
    the step, in bytes.
    """
    command = [sys.executable, __file__, "--memory", which]
    for name in ("size", "device", "dtype", "threads"):
        command += [f"--{name}", str(getattr(args, name))]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def measure_memory(which: str, args) -> None:
    sizes = configuration(args.size)
    model = ref.reference_pi0(sizes[0]) if which == "transformers" else Pi0(sizes[0])
    if which == "minipi0, checkpointing":
        model.experts.checkpointing = True
    case = Case(model, *sizes, args.device, getattr(torch, args.dtype))

    def peak() -> int:
        if args.device == "cuda":
            return torch.cuda.max_memory_allocated()
        status = Path("/proc/self/status")
        if (
            status.exists()
        ):  # Linux: getrusage would count what the parent process held when it started this one
            return next(
                int(line.split()[1]) * 1024
                for line in status.read_text().splitlines()
                if line.startswith("VmHWM")
            )
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
            1 if sys.platform == "darwin" else 1024
        )

    before = peak()
    for _ in range(2):
        case.train()
    print(json.dumps({"peak": peak(), "of the step": peak() - before}))


def run(args) -> dict:
    device, dtype, sizes = args.device, getattr(torch, args.dtype), configuration(args.size)
    model = ref.random_pi0(sizes[0])
    ours, theirs = (Case(m, *sizes, device, dtype) for m in (model, ref.reference_from(model)))
    difference = {
        "actions": (ours.sample() - theirs.sample()).abs().max().item(),
        "loss": (ours.train() - theirs.train()).abs().item(),
    }
    if dtype == torch.float32 and max(difference.values()) > ATOL:
        raise SystemExit(f"the outputs differ: {difference}")
    cases = {"transformers": theirs, "minipi0": ours}
    if (
        dtype == torch.float32
    ):  # how the released model is run: no copy of the weights is cast in every call
        cases["minipi0, bf16 weights"] = Case(
            copy.deepcopy(model).bfloat16(), *sizes, device, torch.bfloat16
        )
    if args.compile:
        eager = dict(cases)
        cases |= {
            f"{name}, {FROZEN}": compile_case(case, frozen=True) for name, case in eager.items()
        }
        cases |= {f"{name}, compiled": compile_case(case) for name, case in eager.items()}
        for name in ("compiled", FROZEN):
            difference[f"actions, {name}"] = (
                (cases[f"minipi0, {name}"].sample() - theirs.sample()).abs().max().item()
            )
        if dtype == torch.float32 and max(difference.values()) > ATOL:
            raise SystemExit(f"the outputs differ: {difference}")
    groups = variants(cases, device)
    n = 64 if args.size == "tiny" else 8192 if device == "cuda" else 2048
    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    products = {name: matmul(n, device, kind) for name, kind in kinds.items()}
    work = {
        group: {name: gflop(functions[name]) for name in ("minipi0", "transformers")}
        for group, functions in groups.items()
    }
    flat = {f"matmul, {name}": function for name, function in products.items()}
    flat |= {
        f"{group}: {name}": function
        for group, functions in groups.items()
        for name, function in functions.items()
    }
    timed = interleaved(flat, device, args.repeats)
    clock = "wall" if device == "cuda" else args.clock
    rate = {name: 2 * n**3 / 1e9 / timed[f"matmul, {name}"][clock] for name in products}
    rows = {}
    for group, functions in groups.items():
        for name in functions:
            seconds = timed[f"{group}: {name}"][clock]
            kind = "bfloat16" if "bf16" in name else args.dtype
            counted = work[group]["transformers" if name.startswith("transformers") else "minipi0"]
            rows[f"{group}: {name}"] = {
                "seconds": seconds,
                "times faster": timed[f"{group}: transformers"][clock] / seconds,
                "share of matmul rate": counted / seconds / rate[kind],
            }
    memory = (
        {
            name: memory_of(name, args)
            for name in ("transformers", "minipi0", "minipi0, checkpointing")
        }
        if not args.no_memory
        else {}
    )
    return {
        "date": str(date.today()),
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": args.threads,
        "dtype": args.dtype,
        "size": args.size,
        "clock": clock,
        "repeats": args.repeats,
        "difference": difference,
        "gflop": work,
        "matmul GFLOP/s": rate,
        "rows": rows,
        "memory": memory,
        "timings": timed,
    }


def table(result: dict) -> str:
    lines = [
        f"{result['device']}, {result['threads']} threads, {result['dtype']}, {result['date']}, "
        f"{result['clock']} clock, medians"
    ]
    lines += [f"largest difference from transformers: {result['difference']}"]
    rates = [f"{rate:.0f} GFLOP/s in {kind}" for kind, rate in result["matmul GFLOP/s"].items()]
    lines += [f"a plain matrix product: {', '.join(rates)}"]
    lines += [f"{'':40s} {'seconds':>9s} {'times faster':>13s} {'of matmul rate':>15s}"]
    for name, row in result["rows"].items():
        lines.append(
            f"{name:40s} {row['seconds']:9.4f} {row['times faster']:13.2f} "
            f"{row['share of matmul rate']:15.0%}"
        )
    for name, used in result["memory"].items():
        lines.append(
            f"memory of a training step: {name:24s} {used['of the step'] / 1e6:8.0f} MB (process "
            f"{used['peak'] / 1e6:.0f} MB)"
        )
    return "\n".join(lines)


def parsed(arguments: list[str] | None = None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=["mid", "full", "tiny"], default="mid")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument(
        "--dtype", choices=["float32", "bfloat16"], default="float32", help="of the weights"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument(
        "--clock",
        choices=["wall", "cpu"],
        default="wall",
        help="cpu: CPU time, for a busy machine, with --threads 1",
    )
    parser.add_argument("--compile", action="store_true", help="time torch.compile too")
    parser.add_argument("--no-memory", action="store_true", help="skip the memory measurements")
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict | None:
    args = parsed(arguments)
    torch.set_num_threads(args.threads)
    if args.memory:
        return measure_memory(args.memory, args)
    keep_freed_memory()
    result = run(args)
    print(table(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return result


if __name__ == "__main__":
    main()
