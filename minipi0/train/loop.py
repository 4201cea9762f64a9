"""The training loop.

AdamW, warm-up and cosine, clipped gradients, an exponential moving average of the weights.
Everything random in step s (which chunks, their noise, their tau, their augmentation) is a function
of (seed, s) alone. So a resumed run needs no generator's state to go on as if never interrupted: on
the CPU, bit for bit. And a batch that is computed in parts, one after another (`grad_accumulation`)
or in several processes (`Team`), gives the numbers of the whole batch. The next batch is made while
the step runs (`feed`).
"""

import functools
import inspect
import math
import warnings
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from minipi0 import flow
from minipi0.checkpoint import plain_parameters, run
from minipi0.checkpoint.about import differences
from minipi0.checkpoint.adapters import whole
from minipi0.compiled import compiled
from minipi0.train import augment as pictures
from minipi0.train import tuning
from minipi0.train.feed import ahead
from minipi0.train.team import Team


@dataclass(frozen=True)
class Recipe:
    """How to train.

    The defaults suit the mini model from scratch; `Recipe.released()` is how pi0 is fine-tuned.
    """

    steps: int = 500
    batch_size: int = 64  # chunks a step, whatever the number of parts and processes
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
    freeze: str | list[str] | None = None,
    lora: int | None = None,
    augment: bool = False,
    grad_accumulation: int = 1,
    bf16: bool = False,
    compile: bool = False,
    accelerator=None,
    shard: bool = False,
    progress: bool = True,
) -> list[float]:
    """Train `model` in place on action chunks. It ends with the averaged weights, in eval mode.

    model: anything with `loss(observation, actions, action_mask=…, generator=…)`, on the device to
        train on: a Pi0 or a baseline. It starts from the weights it has: Pi0(config), or
        Pi0.from_pretrained(folder, dtype=torch.float32) to fine-tune. Frozen weights stay as they
        are, in any dtype; see `tuning`.
    dataset: what `data.load` returns. Padded actions and dims do not count in the loss.
    steps: short for Recipe(steps=…), with a tenth of them as warm-up, but at most the usual one.
    out: a folder for the state and for the averaged model, which `from_pretrained` loads. Both are
        written every `save_every` steps and at the end, atomically.
    resume: True goes on from the state in `out`. A finished run goes on where the recipe now has
        more steps; its learning rate then follows the longer cosine. Past the warm-up, that of the
        new recipe may be another.
    freeze: short for `tuning.freeze(model, …)`: "vlm", "vision", "expert". lora: short for
        `tuning.lora(model, rank)`.
    augment: change the pictures as openpi does, see `augment`.
    grad_accumulation: in how many parts a batch is computed, one after another: with the memory of
        one part, and the numbers of the whole batch.
    bf16: autocast the forward pass; the weights that are trained stay float32.
    compile: run the loss through torch.compile.
    accelerator: Hugging Face accelerate's, for several processes; they share every batch.
    shard: share the weights out between them too (FSDP), and leave them so: load the model from
        `out` to use it.

    Returns the loss of every step. Raises FloatingPointError when a loss or its gradient is not
    finite, before the weights are touched: the message names the step and the batch's indices.
    Raises ValueError for trained weights in half precision, for a folder with a run or a model or
    in which another process trains, for a data set with another tokenizer than the model's, and for
    a state of another recipe, model or data set; FileNotFoundError when there is none to resume.
    Warns where the data differ from those that the model was trained on.
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
    out = None if out is None else Path(out).expanduser()
    if resume and not (out / run.STATE).exists():
        raise FileNotFoundError(f"nothing to resume: {out / run.STATE} does not exist")
    if out is not None and (out / run.STATE).exists() and not resume:
        raise ValueError(f"{out} holds a run: resume=True goes on, or choose another folder")
    if out is not None and (out / "model.safetensors").exists() and not resume:
        raise ValueError(f"{out} holds a model, which would be written over: choose another folder")
    if save_every < 1:
        raise ValueError(f"save_every must be at least 1 step, not {save_every}")
    if freeze and lora is not None:
        raise ValueError("lora freezes all but its adapters: give freeze= or lora=")
    if freeze:
        tuning.freeze(model, *([freeze] if isinstance(freeze, str) else freeze))
    if lora is not None:
        tuning.lora(model, lora)
    _check_trained(tuning.trained(model))
    team = Team(accelerator, shard)
    parts = team.size * grad_accumulation
    if not 1 <= parts <= recipe.batch_size:
        raise ValueError(
            f"a batch of {recipe.batch_size} chunks cannot be cut into {parts} parts "
            f"(grad_accumulation={grad_accumulation})"
        )
    if parts > 1 and not {"noise", "tau"} <= inspect.signature(model.loss).parameters.keys():
        raise ValueError(f"a {type(model).__name__} draws its own noise: train it in one part")
    notes = {"recipe": asdict(recipe), "frozen": tuning.fingerprint(model)}
    team.shard(model)
    trained = tuning.trained(model)
    device = next(iter(trained.values())).device
    about = dataset.about() if hasattr(dataset, "about") else None
    if hasattr(model, "stats"):  # what it came with belonged to other data
        _compare(model.about, about)
        model.stats, model.about = getattr(dataset, "stats", None), about
    settings = dict(lr=recipe.learning_rate, betas=recipe.betas, weight_decay=recipe.weight_decay)
    optimizer = torch.optim.AdamW(trained.values(), **settings, fused=True)
    average = tuning.Average(trained, recipe.ema)
    notes["about"] = about
    losses: list[float] = []
    sample = {} if out is None else _sample(dataset, recipe)
    writes = out is not None and (team.first or team.sharded)
    # now, not after the first hours: the folder is made, and nobody else's
    with run.alone(out) if out is not None and team.first else nullcontext():
        if resume:
            losses = run.load(out, trained, average.values, optimizer, notes, sample)
            average.updates = len(losses)
            if len(losses) == recipe.steps and writes:  # killed between the state's and the model's
                _save_model(model, out, average, team)
        model.train()
        loss_of = team.share(compiled(model.loss, model) if compile else model.loss, model)
        shown = dict(total=recipe.steps, initial=len(losses), unit="step")
        shown["disable"] = not (progress and team.first)
        made = functools.partial(_batch, dataset, recipe, team, augment)
        bar = tqdm(ahead(made, range(len(losses), recipe.steps)), **shown)
        for step, (indices, batch) in bar:
            actions = batch[1]
            noise = _generator(recipe.seed, 2 * step + 1)
            drawn = {"generator": noise}
            if parts > 1:  # for the whole batch: every part takes its own
                every = torch.randn(len(indices), *actions.shape[1:], generator=noise)
                tau = flow.sample_tau(len(indices), noise)
                drawn = {"noise": team.mine(every), "tau": team.mine(tau)}
            try:
                with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                    loss = _backward(loss_of, batch, drawn, grad_accumulation, device, team)
            except ValueError as error:
                error.add_note(f"That was in step {step}, for the chunks {indices.tolist()}.")
                raise
            except RuntimeError as error:
                if not team.lost(error):
                    raise
                raise ConnectionError(
                    f"another process of this job ended in step {step}: see its own message. Start "
                    "the job again with resume=True (--resume): it goes on from the last saved step"
                ) from error
            norm = whole(nn.utils.clip_grad_norm_(trained.values(), recipe.clip))
            for what, value in (("loss", loss), ("gradient's norm", norm.item())):
                if not math.isfinite(value):
                    optimizer.zero_grad()
                    raise FloatingPointError(
                        f"the {what} is {value} in step {step}, for the chunks {indices.tolist()}"
                    )
            losses.append(loss)
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(step)
            optimizer.step()
            optimizer.zero_grad()
            average.update()
            if step % 10 == 9:
                bar.set_postfix(loss=f"{sum(losses[-50:]) / len(losses[-50:]):.3f}")
            last = step + 1 == recipe.steps
            if writes and ((step + 1) % save_every == 0 or last):
                state = (trained, average.values, optimizer, notes, losses, sample)
                run.save(out, *state, write=team.first)
                _save_model(model, out, average, team)
    team.wait()
    average.swap()
    model.eval()
    return losses


def _batch(dataset, recipe: Recipe, team: Team, augment: bool, step: int):
    """(the whole batch's indices, this process's share of the batch) of a step."""
    indices = recipe.indices(step, len(dataset))
    observation, actions, mask = dataset.batch(team.mine(indices))
    if augment and observation.images.numel():
        still = pictures.wrists(getattr(dataset, "cameras", []))
        draws = pictures.draw(
            len(indices), observation.images.shape[1], _generator(recipe.seed, -1 - step)
        )
        observation.images = pictures.apply(observation.images, team.mine(draws), still or None)
    return indices, (observation, actions, mask)


def _save_model(model: nn.Module, out: Path, average: tuning.Average, team: Team) -> None:
    """Write the model with its averaged weights; the others bring their share of them."""
    average.swap()
    if not team.first:
        plain_parameters(model)
    elif hasattr(model, "save_pretrained"):
        model.save_pretrained(out)
    average.swap()


def _backward(loss_of, batch, drawn: dict, parts: int, device, team: Team) -> float:
    """Add the gradient of a batch, part by part, and return the loss of the whole batch.

    batch: this process's share: an Observation, actions [B, H, D] and a mask [B, H] or [B, H, D].
    drawn: {"generator": …}, or this share's {"noise": …, "tau": …}. A part counts by its real
    entries, so that the mean is that of the whole batch.
    """
    _, actions, mask = batch
    real = mask.sum(dim=tuple(range(1, mask.ndim))).double()  # (B,)
    everything, found = team.sum(real.sum()), 0.0
    pieces = torch.arange(len(actions)).tensor_split(parts)
    for i, part in enumerate(pieces):
        share = batch if len(pieces) == 1 else tuple(one[part] for one in batch)
        seen, acted, counted = (one.to(device) for one in share)
        given = drawn if "generator" in drawn else {k: v[part].to(device) for k, v in drawn.items()}
        weight = (real[part].sum() / everything).item()
        if weight == 0:  # nothing but padding: it counts nothing, and every process still joins in
            counted = torch.ones_like(counted)
        with team.last(i + 1 == len(pieces)):
            loss = loss_of(seen, acted, action_mask=counted, **given)
            factor = weight * team.size  # processes' gradients are averaged
            (loss if factor == 1 else loss * factor).backward()
        found += loss.item() * weight
    return team.sum(torch.tensor(found, dtype=torch.float64)).item()


def _check_trained(trained: dict[str, nn.Parameter]) -> None:
    if not trained:
        raise ValueError("every weight of the model is frozen: nothing to train")
    for name, parameter in trained.items():
        # bfloat16 cannot tell a step of 1e-5 on a weight of 0.1, nor 1 % of an average
        if parameter.dtype in (torch.bfloat16, torch.float16):
            raise ValueError(
                f"{name} is {parameter.dtype}: small steps would be rounded away. "
                "Load with dtype=torch.float32 and train with bf16=True, or freeze it"
            )


def _compare(then: dict | None, now: dict | None) -> None:
    """Refuse another tokenizer, and warn of all else in which the data are not those of before."""
    found = differences(then, now)
    found.pop("horizon", None)  # no weight depends on it
    if "tokenizer" in found:
        raise ValueError(
            f"the model reads other tokens than the data set writes: tokenizer: "
            f"{found['tokenizer']}; give data.load the model's tokenizer="
        )
    if found:
        changes = "; ".join(f"{name}: {change}" for name, change in found.items())
        warnings.warn(f"the model was trained on other data: {changes}", stacklevel=3)


def _generator(seed: int, number: int) -> torch.Generator:
    """A fresh generator for one purpose.

    Even numbers are for shuffling an epoch, odd ones for the noise and tau of a step, negative ones
    for its augmentation.
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
