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
from minipi0.command_line import Parser, taken, which_data
from minipi0.config import VOCABULARY, Pi0Config
from minipi0.normalise import STATISTICS
from minipi0.pi0 import Pi0
from minipi0.train import tuning
from minipi0.train.loop import Recipe, fit
from minipi0.train.team import join


def options() -> Parser:
    """The command's options."""
    parser = Parser(
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
    which_data(parser)
    option("--normalise", default="z-score", choices=STATISTICS, help="(default: %(default)s)")
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
    option("--test-every", type=int, default=5, help="hold one of n episodes out (0: none)")
    option("--test-seed", type=int, help="which ones (default 0)")
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
    with parser.errors_in_one_line(args):
        try:
            _run(parser, args)
        except KeyboardInterrupt:
            parser.exit(130, f"{parser.prog}: stopped. {_go_on(args)}\n")
        except torch.OutOfMemoryError:
            parser.exit(
                1,
                f"{parser.prog}: error: the device has no memory left: give --grad-accumulation, a "
                "smaller --batch-size, --freeze or --lora\n",
            )


def _run(parser: Parser, args: argparse.Namespace) -> None:
    out = Path(args.out).expanduser()
    if (out / run.STATE).exists() and not args.resume:
        parser.error(f"{args.out} holds a run already: --resume it, or choose another --out")
    if args.resume and not (out / run.STATE).exists():
        parser.error(f"nothing to resume: {args.out} holds no run; leave --resume out to begin one")
    if (out / "model.safetensors").exists() and not args.resume:
        parser.error(f"{args.out} holds a model already: choose another --out, or --start from it")
    if args.freeze and args.lora is not None:
        parser.error("--lora freezes all but its adapters: give --freeze or --lora")
    if len(args.data) > 1 and (args.episodes or args.without):
        parser.error("--episodes and --without are of one data set, and --data names several")
    if args.weights and len(args.data) == 1:
        parser.error("--weights are of several data sets, and --data names one")
    for name in ("steps", "batch_size", "save_every"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} is at least 1, not {getattr(args, name)}")
    if args.test_every < 0:
        parser.error(f"--test-every is at least 1, or 0 for none, not {args.test_every}")

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
        test_seed=args.test_seed,
        normalise=args.normalise,
        **taken(args),
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
    _score(args, load, model, accelerator)
    print(f"act with it: python -m minipi0.serve --checkpoint {args.out}")
    print(f"train on: the same command with --resume and --steps above {args.steps}")


def _score(args: argparse.Namespace, load: dict, model: Pi0, accelerator) -> None:
    """Print how well the model forecasts the held-out episodes."""
    if not args.test_every:
        return
    if args.shard:
        model = Pi0.from_pretrained(args.out, dtype=torch.float32).to(accelerator.device)
    held_out = data.load(**load, split="test")
    indices = evaluate.spread(held_out, 256)
    score, low, high = evaluate.open_loop(model, held_out, indices).interval()
    count = len(held_out.episodes)
    what = f"energy score of 10 steps on {count} held-out episode{'s' if count > 1 else ''}"
    if count == 1:  # its frames are no independent trials
        print(f"{what}: {score:.3f} (one episode gives no interval: lower --test-every)")
    else:
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


def _go_on(args: argparse.Namespace) -> str:
    """What to do after a run was stopped."""
    if (Path(args.out).expanduser() / run.STATE).exists():
        return "The same command with --resume goes on from the last saved step"
    return "Nothing was saved yet (--save-every): start the command again"


def _cameras(names: list[str] | None) -> list[str | None] | None:
    return names and [None if name == "none" else name for name in names]


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
