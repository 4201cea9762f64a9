"""The training loop and its command line.

    python -m minipi0.train --data cr5-banana --steps 500 --out runs/first

AdamW, warm-up and cosine, clipped gradients, an exponential moving average of the weights.
Everything random in step s (which chunks, their noise, their tau) is a function of (seed, s) alone.
So a resumed run needs no generator's state to go on as if never interrupted: on the CPU, bit for
bit.
"""

import argparse
import functools
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm.auto import tqdm

from minipi0 import data, evaluate, prompt
from minipi0.checkpoint import run
from minipi0.compiled import compiled
from minipi0.config import Pi0Config
from minipi0.pi0 import Pi0


@dataclass(frozen=True)
class Recipe:
    """How to train.

    The defaults suit the mini model from scratch; `Recipe.released()` is how pi0 is fine-tuned.
    """

    steps: int = 500
    batch_size: int = 64
    learning_rate: float = 1e-3  # the peak
    final_learning_rate: float = 1e-4  # where the cosine ends, at the last step
    warmup: int = 50  # steps
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 1e-10
    clip: float = 1.0  # of the gradient's norm
    ema: float = 0.99  # how much of the average is kept at each step
    seed: int = 0

    def __post_init__(self):
        if self.steps < 1 or self.batch_size < 1 or self.warmup < 0:
            raise ValueError(
                f"steps and batch_size must be at least 1 and warmup at least 0: {self}"
            )
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must lie in [0, 1), not {self.ema}")
        peak, final = self.learning_rate, self.final_learning_rate
        if not (0 < peak < math.inf and 0 <= final < math.inf and self.clip > 0):
            raise ValueError(
                "learning rates must be finite and, like clip, above 0 (the final one may be 0): "
                f"{self}"
            )

    @classmethod
    def released(cls, **changes) -> "Recipe":
        """openpi's fine-tuning of the full model: 30,000 steps of 32 chunks."""
        values = dict(steps=30_000, batch_size=32, warmup=1000)
        rates = dict(learning_rate=2.5e-5, final_learning_rate=2.5e-6)
        return cls(**(values | rates | changes))

    def rate(self, step: int) -> float:
        """The learning rate of step 0, 1, …: linear warm-up, then a cosine."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        progress = (step - self.warmup) / max(self.steps - self.warmup, 1)
        above = self.learning_rate - self.final_learning_rate
        return self.final_learning_rate + above * (1 + math.cos(math.pi * progress)) / 2

    def indices(self, step: int, length: int) -> Tensor:
        """Which of `length` chunks step 0, 1, … trains on: a fresh order in every epoch.

        Returns int64[batch_size].
        """
        start = step * self.batch_size
        picked = []
        while len(picked) < self.batch_size:
            epoch, offset = divmod(start + len(picked), length)
            order = torch.randperm(length, generator=_generator(self.seed, 2 * epoch))
            picked += order[offset : offset + self.batch_size - len(picked)].tolist()
        return torch.tensor(picked)


def fit(
    model: nn.Module,
    dataset,
    steps: int | None = None,
    recipe: Recipe | None = None,
    *,
    out: str | Path | None = None,
    save_every: int = 500,
    resume: bool = False,
    bf16: bool = False,
    compile: bool = False,
    progress: bool = True,
) -> list[float]:
    """Train `model` in place on action chunks. It ends with the averaged weights, in eval mode.

    model: anything with `loss(observation, actions, action_mask=…, generator=…)`, on the device to
        train on: a Pi0 or a baseline. It starts from the weights it has: Pi0(config), or
        Pi0.from_pretrained(folder, dtype=torch.float32) to fine-tune.
    dataset: what `data.load` returns. Padded actions do not count in the loss.
    steps: short for Recipe(steps=…), with a tenth of them as warm-up, but at most the usual one.
    out: a folder for the state and for the averaged model, which `from_pretrained` loads. Both are
        written every `save_every` steps and at the end, atomically.
    resume: True goes on from the state in `out`. A finished run goes on where the recipe now has
        more steps; its learning rate then follows the longer cosine.
    bf16: autocast the forward pass; the weights themselves stay float32.
    compile: run the loss through torch.compile.

    Returns the loss of every step. Raises FloatingPointError when a loss or its gradient is not
    finite, before the weights are touched: the message names the step and the batch's indices.
    Raises ValueError for weights in half precision, for a folder that holds a run already, and for
    a state of another recipe, model or data set; FileNotFoundError when there is none to resume.
    """
    if recipe is None:
        recipe = Recipe()
        if steps is not None:
            recipe = Recipe(steps=steps, warmup=min(Recipe.warmup, steps // 10))
    if steps is not None and recipe.steps != steps:
        raise ValueError(f"steps={steps}, but the recipe says {recipe.steps}: give one of them")
    if len(dataset) == 0:
        raise ValueError("the data set holds no action chunk")
    if resume and out is None:
        raise ValueError("resume=True needs out=, the folder of the run to go on with")
    if out is not None and (Path(out) / run.STATE).exists() and not resume:
        raise ValueError(f"{out} holds a run: resume=True goes on, or choose another folder")
    if save_every < 1:
        raise ValueError(f"save_every must be at least 1 step, not {save_every}")
    for name, parameter in model.named_parameters():
        # bfloat16 cannot tell a step of 1e-5 on a weight of 0.1, nor 1 % of an average
        if parameter.dtype in (torch.bfloat16, torch.float16):
            raise ValueError(
                f"{name} is {parameter.dtype}: small steps would be rounded away. "
                "Load with dtype=torch.float32 and train with bf16=True"
            )
    device = next(model.parameters()).device
    if hasattr(model, "stats"):  # what it came with belonged to other data
        model.stats = getattr(dataset, "stats", None)
        model.about = dataset.about() if hasattr(dataset, "about") else None
    average = AveragedModel(model, multi_avg_fn=_average_into(recipe.ema))
    settings = dict(lr=recipe.learning_rate, betas=recipe.betas, weight_decay=recipe.weight_decay)
    optimizer = torch.optim.AdamW(model.parameters(), **settings, fused=True)
    losses: list[float] = []
    sample = {} if out is None else _sample(dataset, recipe)
    if resume:
        losses = run.load(Path(out), model, average, optimizer, asdict(recipe), sample)
    if out is not None:
        Path(out).mkdir(parents=True, exist_ok=True)  # now, not after the first hours
    model.train()
    loss_of = compiled(model.loss, model) if compile else model.loss
    shown = dict(total=recipe.steps, initial=len(losses), unit="step", disable=not progress)
    bar = tqdm(range(len(losses), recipe.steps), **shown)
    for step in bar:
        indices = recipe.indices(step, len(dataset))
        observation, actions, mask = (part.to(device) for part in dataset.batch(indices))
        noise = _generator(recipe.seed, 2 * step + 1)
        try:
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                loss = loss_of(observation, actions, action_mask=mask, generator=noise)
        except ValueError as error:
            error.add_note(f"That was in step {step}, for the chunks {indices.tolist()}.")
            raise
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        for what, value in (("loss", loss.item()), ("gradient's norm", norm.item())):
            if not math.isfinite(value):
                optimizer.zero_grad()
                raise FloatingPointError(
                    f"the {what} is {value} in step {step}, for the chunks {indices.tolist()}"
                )
        losses.append(loss.item())
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step)
        optimizer.step()
        optimizer.zero_grad()
        average.update_parameters(model)
        if step % 10 == 9:
            bar.set_postfix(loss=f"{sum(losses[-50:]) / len(losses[-50:]):.3f}")
        if out is not None and ((step + 1) % save_every == 0 or step + 1 == recipe.steps):
            run.save(Path(out), model, average, optimizer, asdict(recipe), losses, sample)
            if hasattr(model, "save_pretrained"):
                average.module.save_pretrained(out)
    model.load_state_dict(average.module.state_dict())
    model.eval()
    return losses


def _average_into(ema: float):
    """How AveragedModel takes in new weights: it keeps min(ema, (1 + t) / (10 + t)) of the average.

    t counts the steps. So the first weights, which know nothing, are soon forgotten.
    """

    @torch.no_grad()
    def take_in(averaged: list[Tensor], current: list[Tensor], t: Tensor) -> None:
        torch._foreach_lerp_(averaged, current, 1 - min(ema, (1 + t.item()) / (10 + t.item())))

    return take_in


def _generator(seed: int, number: int) -> torch.Generator:
    """A fresh generator for one purpose.

    Even numbers are for shuffling an epoch, odd ones for the noise and tau of a step.
    """
    return torch.Generator().manual_seed((seed * 1_000_003 + number) % 2**63)


def _sample(dataset, recipe: Recipe) -> dict[str, Tensor]:
    """What the first step trains on, pictures as their mean: a resumed run recognises its data."""
    seen, actions, mask = dataset.batch(recipe.indices(0, len(dataset)))
    found = {
        "images": seen.images.mean(dim=(-3, -2, -1)),
        "tokens": seen.tokens,
        "state": seen.state,
        "actions": actions,
        "mask": mask,
    }
    return {f"data.{name}": values.float() for name, values in found.items()}


def main(arguments: list[str] | None = None) -> None:
    """The command line: train, save the model, and score it on the held-out episodes."""
    parser = argparse.ArgumentParser(
        prog="python -m minipi0.train", description="Train a mini pi0 on a LeRobot data set."
    )
    option, flag = parser.add_argument, functools.partial(parser.add_argument, action="store_true")
    option("--data", required=True, help="a named data set, a folder, or a Hugging Face repo id")
    option("--out", required=True, help="folder for the model and the state to resume from")
    option("--steps", type=int, default=500)
    option("--batch-size", type=int, default=64)
    option("--learning-rate", type=float, default=1e-3)
    option("--start", help="weights to begin with, a folder or repo id (default: fresh, mini)")
    option("--horizon", type=int, help="actions in a chunk (default 16, or that of --start)")
    option("--cameras", nargs="*", help="camera keys (default: all; none given: no images)")
    option("--test-every", type=int, default=5, help="hold every n-th episode out (0: none)")
    option("--seed", type=int, default=0)
    option("--save-every", type=int, default=500)
    flag("--resume", help="go on from the state in --out")
    flag("--bf16", help="autocast to bfloat16")
    flag("--compile", help="use torch.compile")
    option("--device", default=_best_device())
    args = parser.parse_args(arguments)

    if (Path(args.out) / run.STATE).exists() and not args.resume:
        parser.error(f"{args.out} holds a run already: --resume it, or choose another folder")

    torch.manual_seed(args.seed)
    model = Pi0.from_pretrained(args.start, dtype=torch.float32) if args.start else None
    config = model.config if model else Pi0Config.mini()
    horizon = config.horizon if args.horizon is None else args.horizon
    load = dict(
        source=args.data,
        horizon=horizon,
        cameras=args.cameras,
        image_size=config.vision.image_size,
        prompt_length=None,
        test_every=args.test_every or None,
    )
    dataset = data.load(**load, split="train")
    needed = dict(
        action_dim=dataset.actions.shape[1],
        state_dim=dataset.state.shape[1],
        horizon=horizon,
        vocab_size=len(prompt.byte_tokenizer()),
    )
    sizes = {name: getattr(config, name) for name in needed}
    if model and sizes != needed:
        wrong = [f"{k} {sizes[k]}, needed is {n}" for k, n in needed.items() if sizes[k] != n]
        raise ValueError(
            f"{args.start} does not fit this data set: {'; '.join(wrong)} "
            "(notebook 12 pads a robot to a larger model)"
        )
    model = (model or Pi0(replace(config, **needed))).to(args.device)
    recipe = Recipe(
        steps=args.steps,
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        final_learning_rate=args.learning_rate / 10,
        warmup=min(Recipe.warmup, args.steps // 10),
        seed=args.seed,
    )
    options = dict(out=args.out, save_every=args.save_every, resume=args.resume)
    fit(model, dataset, recipe=recipe, **options, bf16=args.bf16, compile=args.compile)
    print(f"trained model: {args.out}")
    if not args.test_every:
        return
    held_out = data.load(**load, split="test")
    indices = evaluate.spread(held_out, 256)
    score, low, high = evaluate.open_loop(model, held_out, indices).interval()
    what = f"energy score of 10 steps on {len(held_out.episodes)} held-out episodes"
    print(f"{what}: {score:.3f} (95 % interval {low:.3f} … {high:.3f})")


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


if __name__ == "__main__":
    main()
