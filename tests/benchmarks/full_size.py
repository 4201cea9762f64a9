"""The full-size model on a small machine: load a released-layout file of random weights, sample one
chunk, and see what it took.

    python tests/benchmarks/full_size.py                # 8 GB of disk, removed afterwards
    python tests/benchmarks/full_size.py --folder big   # there instead, to be kept and used again
    python tests/benchmarks/full_size.py --device cuda  # latency, eager and compiled

The file is written tensor by tensor. A fresh process loads it in bf16 and samples a 50-step chunk
from three 224x224 cameras in ten Euler steps. Its peak memory is the operating system's account of
that process (maximum resident set: its own memory and the pages of the file), taken from outside;
it must stay within 1.2 times the weights' bytes. Ends with a non-zero status when it does not.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from tqdm import tqdm

from minipi0 import Observation, Pi0, Pi0Config, checkpoint
from minipi0.checkpoint import layouts, sizes

LIMIT = 1.2  # times the weights' bytes
CAMERAS, STEPS, PROMPT = 3, 10, 48


def write_checkpoint(folder: Path) -> None:
    """The released layout at full size: 778 random tensors, both lm_heads among them.

    Norms multiply by one, all else is N(0, 0.02).
    """
    config = Pi0Config.full()
    with torch.device("meta"):
        model = Pi0(config).to(torch.bfloat16)
    state = {
        layouts.own_name(name): parameter.detach() for name, parameter in model.named_parameters()
    }
    released = {
        f"model.{name}": tensor
        for name, tensor in layouts.to_released(state, config.to_dict()).items()
    }
    generator = torch.Generator().manual_seed(0)
    bar = tqdm(
        total=sum(tensor.nbytes for tensor in released.values()),
        desc="writing weights",
        unit="B",
        unit_scale=True,
    )

    def value(name: str) -> torch.Tensor:
        tensor = torch.empty(released[name].shape, dtype=torch.bfloat16)
        bar.update(tensor.nbytes)
        if tensor.ndim == 1:  # Gemma's norms multiply by 1 + w, SigLIP's layer norms by w
            return tensor.fill_(
                float("vision_tower" in name and "norm" in name and name.endswith("weight"))
            )
        return tensor.normal_(0, 0.02, generator=generator)

    folder.mkdir(parents=True, exist_ok=True)
    write = lambda path: checkpoint.write_tensors(path, released, {"format": "pt"}, value)  # noqa: E731
    checkpoint.write_atomically(folder / "model.safetensors", write)
    bar.close()
    values = sizes.config_of(config.to_dict())
    checkpoint.write_atomically(
        folder / "config.json", lambda path: path.write_text(json.dumps(values))
    )


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def random_observation(config: Pi0Config, device: str, dtype: torch.dtype) -> Observation:
    generator, size = torch.Generator().manual_seed(1), config.vision.image_size
    return Observation(
        images=(torch.rand(1, CAMERAS, 3, size, size, generator=generator) * 2 - 1).to(
            device, dtype
        ),
        image_mask=torch.ones(1, CAMERAS, dtype=torch.bool, device=device),
        tokens=torch.randint(0, config.vocab_size, (1, PROMPT), generator=generator).to(device),
        token_mask=(torch.arange(PROMPT) < 20)[None].to(device),
        state=torch.randn(1, config.state_dim, generator=generator).to(device),
    )


def sample(folder: str, device: str, repeats: int) -> dict:
    """What the fresh process does.

    Returns seconds, by part: medians over `repeats` samples after, on CUDA, a warm-up.
    """
    start = time.perf_counter()
    model = Pi0.from_pretrained(folder).to(device)
    synchronize(device)
    seconds = {
        "load": [time.perf_counter() - start],
        "images": [],
        "prefix": [],
        "Euler step": [],
        "whole sample": [],
    }

    def timed(function, part):
        def run(*args, **kwargs):
            synchronize(device)
            start = time.perf_counter()
            result = function(*args, **kwargs)
            synchronize(device)
            seconds[part].append(time.perf_counter() - start)
            return result

        return run

    observation = random_observation(model.config, device, torch.bfloat16)
    noise = torch.randn(
        1, model.config.horizon, model.config.action_dim, generator=torch.Generator().manual_seed(2)
    ).to(device)

    def once():
        return model.sample_actions(observation, noise=noise, steps=STEPS)

    parts = {"embed_prefix": model.embed_prefix, "decode": model.decode}
    prefix = model.experts.prefix
    if device == "cuda":
        once()
    model.embed_prefix, model.decode = (
        timed(parts["embed_prefix"], "images"),
        timed(parts["decode"], "Euler step"),
    )
    model.experts.prefix = timed(prefix, "prefix")
    whole = timed(once, "whole sample")
    for _ in range(repeats):
        actions = whole()
    result = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "weight_bytes": sum(p.nbytes for p in model.parameters()),
        "finite": bool(actions.isfinite().all()),
        "shape": list(actions.shape),
        "threads": torch.get_num_threads(),
    }
    if device == "cuda":
        del model.embed_prefix, model.experts.prefix
        seconds["whole sample, compiled"] = []
        model.encode, model.decode = (
            torch.compile(model.encode),
            torch.compile(parts["decode"], mode="reduce-overhead"),
        )
        compiled = timed(once, "whole sample, compiled")
        for _ in range(repeats + 3):
            compiled()
        seconds["whole sample, compiled"] = seconds["whole sample, compiled"][
            3:
        ]  # the first ones compile
        result |= {
            "device_name": torch.cuda.get_device_name(),
            "device_peak_bytes": torch.cuda.max_memory_allocated(),
        }
    return result | {
        "seconds": {part: statistics.median(values) for part, values in seconds.items()}
    }


def peak_of(command: list[str]) -> tuple[str, int]:
    """Run a command. Returns its output and its maximum resident set in bytes, as the operating
    system counted it.
    """
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")
    return output, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--folder",
        type=Path,
        help="write the checkpoint here and keep it, or use the one that is there",
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--repeats",
        type=int,
        help="samples to take the median of (default: 1 on the CPU, 20 on CUDA)",
    )
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    repeats = args.repeats or (20 if args.device == "cuda" else 1)
    if args.child:
        print(json.dumps(sample(args.child, args.device, repeats)))
        return
    folder = args.folder or Path(tempfile.mkdtemp(prefix="pi0_full_size_"))
    try:
        if not (folder / "config.json").exists():
            write_checkpoint(folder)
        command = [sys.executable, __file__, "--child", str(folder)]
        output, peak = peak_of([*command, "--device", args.device, "--repeats", str(repeats)])
    finally:
        if not args.folder:
            shutil.rmtree(folder)
    result = json.loads(output) | {"peak_bytes": peak, "device": args.device}
    result["peak_ratio"] = peak / result["weight_bytes"]
    print(f"{result['parameters']:,} parameters, {result['weight_bytes'] / 1e9:.2f} GB")
    print(f"a chunk of shape {result['shape']}, finite: {result['finite']}")
    print(
        f"peak memory {peak / 1e9:.2f} GB, {result['peak_ratio']:.3f} times the weights (limit "
        f"{LIMIT})"
    )
    for part, seconds in result["seconds"].items():
        print(f"{part:24s} {seconds:9.3f} s")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    if args.device == "cpu" and result["peak_ratio"] > LIMIT:
        raise SystemExit("too much memory")


if __name__ == "__main__":
    main()
