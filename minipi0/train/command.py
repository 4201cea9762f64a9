"""The training command: data, a model that fits them, training, a score.

python -m minipi0.train --data cr5-banana --steps 500 --out runs/first
python -m minipi0.train --data me/my-robot --start lerobot/pi0_base --lora 16 --out runs/mine
accelerate launch --num_processes 2 -m minipi0.train --data … --out …
"""

import argparse
import functools
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch

from minipi0 import data, evaluate, prompt
from minipi0.checkpoint import open_checkpoint, run
from minipi0.config import VOCABULARY, Pi0Config
from minipi0.pi0 import Pi0
from minipi0.train import tuning
from minipi0.train.loop import Recipe, fit
from minipi0.train.team import join


def options() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog="python -m minipi0.train", description="Train a pi0 on a LeRobot data set."
    )
    option, flag = parser.add_argument, functools.partial(parser.add_argument, action="store_true")
    option(
        *("--data",),
        required=True,
        nargs="+",
        help="named data sets, folders, or Hugging Face repo ids; several are mixed",
    )
    option("--weights", nargs="+", type=float, help="how often each of several data sets is drawn")
    option("--data-revision", help="branch, tag or commit of that repository")
    option("--out", required=True, help="folder for the model and the state to resume from")
    option("--steps", type=int, default=500)
    option("--batch-size", type=int, default=64, help="chunks a step, of all parts and processes")
    option("--grad-accumulation", type=int, help="compute a batch in so many parts: less memory")
    option("--learning-rate", type=float, help="default 1e-3, or 2.5e-5 for the released sizes")
    option("--start", help="weights to begin with, a folder or repo id (default: fresh, mini)")
    option("--start-revision", help="branch, tag or commit of that repository")
    option("--freeze", nargs="+", choices=tuning.PARTS, help="what stays as it is, in bf16")
    option("--lora", type=int, metavar="RANK", help="train adapters of this rank, the rest in bf16")
    option("--horizon", type=int, help="actions in a chunk (default 16, or that of --start)")
    option(
        "--cameras", nargs="*", help="camera keys in order, none for an empty slot (default: all)"
    )
    option("--augment", action="store_true", help="crop, turn and recolour the pictures")
    option("--test-every", type=int, default=5, help="hold every n-th episode out (0: none)")
    option("--seed", type=int, default=0)
    option("--save-every", type=int, default=500)
    flag("--resume", help="go on from the state in --out")
    flag("--bf16", help="autocast to bfloat16")
    flag("--compile", help="use torch.compile")
    flag("--shard", help="share the weights out between processes too (FSDP)")
    option("--device", default=_best_device())
    return parser


def main(arguments: list[str] | None = None) -> None:
    """The command line: train, save the model, and score it on the held-out episodes."""
    parser = options()
    args = parser.parse_args(arguments)
    out = Path(args.out).expanduser()
    if (out / run.STATE).exists() and not args.resume:
        parser.error(f"{args.out} holds a run already: --resume it, or choose another folder")
    if (out / "model.safetensors").exists() and not args.resume:
        parser.error(f"{args.out} holds a model already: choose another folder")
    if args.freeze and args.lora is not None:
        parser.error("--lora freezes all but its adapters: give --freeze or --lora")

    accelerator = join(out)
    first = accelerator is None or accelerator.is_main_process
    torch.manual_seed(args.seed)
    config, tokenizer = _start(args)
    load = dict(
        source=args.data if len(args.data) > 1 else args.data[0],
        weights=args.weights,
        revision=args.data_revision,
        horizon=config.horizon,
        cameras=_cameras(args.cameras),
        image_size=config.vision.image_size,
        prompt_length=None,
        tokenizer=tokenizer,
        test_every=args.test_every or None,
    )
    if args.start:  # the robot is padded to the model
        load |= dict(state_dim=config.state_dim, action_dim=config.action_dim)
    with accelerator.main_process_first() if accelerator else nullcontext():  # decodes for all
        dataset = data.load(**load, split="train")
    if args.start:
        start = dict(config=config, dtype=torch.float32, revision=args.start_revision)
        model = Pi0.from_pretrained(args.start, **start)
    else:
        observation, actions, _ = dataset.batch([0])
        sizes = dict(state_dim=observation.state.shape[1], action_dim=actions.shape[2])
        model = Pi0(replace(config, **sizes))
    if args.freeze:
        tuning.freeze(model, *args.freeze, dtype=torch.bfloat16)
    if args.lora is not None:
        tuning.lora(model, args.lora, dtype=torch.bfloat16)
    model.to(accelerator.device if accelerator else args.device)
    usual = 2.5e-5 if config.vocab_size == VOCABULARY else 1e-3
    rate = usual if args.learning_rate is None else args.learning_rate
    recipe = Recipe(
        steps=args.steps,
        batch_size=args.batch_size,
        learning_rate=rate,
        final_learning_rate=rate / 10,
        warmup=min(Recipe.warmup, args.steps // 10),
        seed=args.seed,
    )
    settings = dict(out=out, save_every=args.save_every, resume=args.resume, augment=args.augment)
    told = accelerator.gradient_accumulation_steps if accelerator else 1
    bf16 = args.bf16 or (accelerator is not None and accelerator.mixed_precision == "bf16")
    fit(
        *(model, dataset),
        recipe=recipe,
        **settings,
        grad_accumulation=told if args.grad_accumulation is None else args.grad_accumulation,
        bf16=bf16,
        compile=args.compile,
        accelerator=accelerator,
        shard=args.shard,
    )
    if not first:
        return
    print(f"trained model: {args.out}")
    if not args.test_every:
        return
    if args.shard:
        model = Pi0.from_pretrained(out, dtype=torch.float32).to(accelerator.device)
    held_out = data.load(**load, split="test")
    indices = evaluate.spread(held_out, 256)
    score, low, high = evaluate.open_loop(model, held_out, indices).interval()
    what = f"energy score of 10 steps on {len(held_out.episodes)} held-out episodes"
    print(f"{what}: {score:.3f} (95 % interval {low:.3f} … {high:.3f})")


def _start(args):
    """The sizes and the tokenizer (None: bytes) of --start, or of a fresh mini model."""
    if not args.start:
        config, named = Pi0Config.mini(vocab_size=len(prompt.byte_tokenizer())), None
    else:
        source = open_checkpoint(args.start, args.start_revision)
        config = Pi0Config.from_dict(source.config())
        named = (source.about() or {}).get("tokenizer")
    if args.horizon is not None:  # no weight depends on it
        config = replace(config, horizon=args.horizon)
    return config, prompt.by_name(named, config.vocab_size) if args.start else None


def _cameras(names: list[str] | None) -> list[str | None] | None:
    return names and [None if name == "none" else name for name in names]


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
