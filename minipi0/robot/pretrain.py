"""The mini VLM, from nothing to a checkpoint:  python -m minipi0.robot.pretrain

As PaliGemma was made: first its eye alone learns to see (there: SigLIP, from captions; here: which
thing is in which patch), then eye and language model learn together to answer questions about
pictures (`questions`). What is written is a small PaliGemma, in PaliGemma's own layout:
`Pi0.from_paligemma` puts a fresh action expert beside it, as pi0's authors did with the large one.
"""

import argparse
import hashlib
import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minipi0 import prompt, train, vlm
from minipi0.checkpoint import run
from minipi0.config import ExpertConfig, Pi0Config, VisionConfig
from minipi0.data.sources import cache_folder
from minipi0.pi0 import Pi0
from minipi0.robot import questions, touch
from minipi0.robot.recipes import CARRIED

_HEADS = dict(depth=4, num_heads=4, num_kv_heads=1, head_dim=32)
EXPERT = ExpertConfig(width=64, mlp_dim=128, **_HEADS)  # the usual action expert beside this VLM
SIZE = Pi0Config.mini(
    action_dim=4,
    state_dim=4,
    horizon=8,
    vocab_size=len(prompt.word_tokenizer()),
    vlm=ExpertConfig(width=96, mlp_dim=192, **_HEADS),
    action_expert=EXPERT,
    vision=VisionConfig(64, patch_size=16, width=96, depth=2, num_heads=4, mlp_dim=192),
)
HELD_OUT = 1  # the seed of the pictures that nothing is trained on


def _recipe(steps: int, **changes) -> train.Recipe:
    return train.Recipe(steps=steps, final_learning_rate=5e-5, warmup=200, ema=0.995, **changes)


@dataclass(frozen=True)
class Pretraining:
    """pictures: how many. seed: theirs. config: sizes; its action expert is not trained.

    seeing: of the vision tower alone; training: of it and the language model.
    """

    pictures: int = 8000
    seed: int = 0
    config: Pi0Config = SIZE
    seeing: train.Recipe = _recipe(3000, learning_rate=2e-3, batch_size=64)
    training: train.Recipe = _recipe(8000, learning_rate=1e-3, batch_size=32)

    @property
    def digest(self) -> str:
        """sha256 of the values, as `recipes.digest`."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


class Seeing(nn.Module):
    """The vision tower with a linear head, which is thrown away: what is in each patch, and where.

    In the form that `train.fit` takes: its "actions" are the labels of `questions.Labels`.
    """

    def __init__(self, vision: nn.Module, width: int):
        super().__init__()
        self.vision, self.head = vision, nn.Linear(width, len(touch.NAMES) + 2)

    def loss(self, observation, labels, action_mask=None, generator=None) -> Tensor:
        """Cross entropy of every name in every patch, and the squared error of the places.

        labels, action_mask: as of `Labels.batch`. generator: not used.
        """
        found = self.head(self.vision(observation.images[:, 0]).last_hidden_state)
        names = F.binary_cross_entropy_with_logits(found[..., :-2], labels[..., :-2])
        places = (found[..., -2:] - labels[..., -2:])[action_mask].square().mean()
        return len(touch.NAMES) * names + places


def pictures(count: int, seed: int, progress: bool = True) -> questions.Questions:
    """Labelled pictures, taken once and kept in the cache."""
    file = cache_folder() / "pictures" / f"{count}_of_seed_{seed}.npz"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        questions.save(questions.photograph(range(count), seed, progress), file)
    return questions.load(file)


def make(out: str | Path, recipe: Pretraining | None = None, progress: bool = True) -> Path:
    """Take the pictures, train, write the checkpoint in bf16 to `out`. An interrupted run goes on.

    Returns `out`.
    """
    recipe, began = recipe or Pretraining(), time.time()
    asked = pictures(recipe.pictures, recipe.seed, progress)
    torch.manual_seed(recipe.training.seed)
    model = Pi0(recipe.config)
    state = cache_folder() / "runs" / recipe.digest[:16]  # until the training is through
    resume, started = (state / run.STATE).exists(), time.time()
    if not resume:
        labels = questions.Labels(
            asked, recipe.config.vision.image_size // recipe.config.vision.patch_size
        )
        seeing = Seeing(model.vision, recipe.config.vision.width)
        train.fit(seeing, labels, recipe=recipe.seeing, progress=progress)
    answering = vlm.Answering(model)
    run_of = dict(out=state, resume=resume, progress=progress)
    train.fit(answering, asked, recipe=recipe.training, **run_of)
    about = {
        "recipe": asdict(recipe),
        "recipe_sha256": recipe.digest,
        "command": "python -m minipi0.robot.pretrain",
        "seed": recipe.training.seed,
        "seconds": {
            "pictures": round(started - began),
            "training": round(time.time() - started),
        },
        "tokenizer": "words",
    }
    model.to(torch.bfloat16).save_pretrained(out, layout="paligemma", about=about)
    shutil.rmtree(state)
    return Path(out)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m minipi0.robot.pretrain", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--out", type=Path, default=CARRIED / "vlm", help="the checkpoint's folder")
    print(make(parser.parse_args(arguments).out))


if __name__ == "__main__":
    main()
