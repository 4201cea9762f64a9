"""The mini VLM, from nothing to a checkpoint:  python -m minipi0.robot.pretrain

As PaliGemma was made: first its eye learns which words fit what it sees (there: SigLIP, pictures
and captions; here: patches and the things in them). Then eye and language model together learn to
answer questions about pictures (`questions`). Without the first part, the second gets nowhere in
this time. What is written is a small PaliGemma, in PaliGemma's own layout: `Pi0.from_paligemma`
puts a fresh action expert beside it, as pi0's authors did with the large one.
"""

import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minipi0 import prompt, train, vlm
from minipi0.checkpoint import run
from minipi0.command_line import Parser
from minipi0.config import ExpertConfig, Pi0Config, VisionConfig
from minipi0.data.sources import cache_folder
from minipi0.pi0 import Pi0
from minipi0.robot import questions
from minipi0.robot.recipes import CARRIED, digest

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
    seeing: train.Recipe = _recipe(1800, learning_rate=2e-3, batch_size=64)
    training: train.Recipe = _recipe(3500, learning_rate=1e-3, batch_size=64)


class Seeing(nn.Module):
    """The eye learns words: what comes from a patch must be near the words for what is in it.

    SigLIP's loss (arXiv 2303.15343), a sigmoid for every pair, with patches in place of pictures
    and words in place of captions. The place of a thing's middle is a choice among the location
    words, through a linear map for the row and one for the column; these two are thrown away.

    In the form that `train.fit` takes: its "actions" are the labels of `questions.Labels`.
    """

    def __init__(self, model: Pi0):
        super().__init__()
        self.vision, self.projector, self.embedding = model.vision, model.projector, model.embedding
        width = model.config.vlm.width
        self.row, self.column = nn.Linear(width, width), nn.Linear(width, width)
        self.bias = nn.Parameter(torch.tensor(-2.0))  # most words are not in most patches
        words = prompt.word_tokenizer()
        places = [vlm.location(i / prompt.LOCATIONS) for i in range(prompt.LOCATIONS)]
        self.words, self.places = (
            torch.tensor(words.convert_tokens_to_ids(some)) for some in (questions.SEEN, places)
        )

    def loss(self, observation, labels, action_mask=None, generator=None) -> Tensor:
        """Cross entropy of words and places. labels, action_mask: as of `questions.Labels`.

        generator: not used, nothing is drawn.
        """
        features = self.projector(self.vision(observation.images[:, 0]).last_hidden_state)
        matches = features @ self.embedding(self.words).T + self.bias  # (B, patches, words)
        there, place = labels[..., :-2], labels[action_mask][:, -2:].long()
        loss = len(self.words) * F.binary_cross_entropy_with_logits(matches, there)
        for axis, turn in enumerate((self.row, self.column)):
            scores = turn(features[action_mask]) @ self.embedding(self.places).T
            loss = loss + F.cross_entropy(scores, place[:, axis])
        return loss


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
    state = cache_folder() / "runs" / digest(recipe)[:16]  # until the training is through
    resume, started = (state / run.STATE).exists(), time.time()
    if not resume:
        sizes = recipe.config.vision
        labels = questions.Labels(asked, sizes.image_size // sizes.patch_size)
        train.fit(Seeing(model), labels, recipe=recipe.seeing, progress=progress)
    answering = vlm.Answering(model)
    run_of = dict(out=state, resume=resume, progress=progress)
    train.fit(answering, asked, recipe=recipe.training, **run_of)
    about = {
        "recipe": asdict(recipe),
        "recipe_sha256": digest(recipe),
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
    parser = Parser(prog="python -m minipi0.robot.pretrain", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=CARRIED / "vlm", help="the checkpoint's folder")
    args = parser.parse_args(arguments)
    with parser.errors_in_one_line(args):
        print(make(args.out))


if __name__ == "__main__":
    main()
