"""How the carried checkpoints were made, and are made again:  python -m minipi0.robot.recipes wall

A recipe is a table of plain values: demonstrations, sizes, training. Its hash is written into the
weights' file, so a file tells whether it came from the recipe that stands here.
"""

import hashlib
import json
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from minipi0 import data, train
from minipi0.baselines import MODELS
from minipi0.checkpoint import run
from minipi0.command_line import Parser
from minipi0.config import ExpertConfig, Pi0Config, VisionConfig
from minipi0.data.sources import cache_folder
from minipi0.robot.demonstrate import Disturbance, generate
from minipi0.robot.tasks import TASKS

CARRIED = Path(__file__).parents[1] / "checkpoints"  # a folder for every recipe


def digest(recipe) -> str:
    """sha256 of a recipe's JSON: the same for the same values, whatever the version of the code."""
    return hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Demonstrations:
    """What `demonstrate.generate` is asked for. episodes: of each task. options: for the scene."""

    tasks: tuple[str, ...]
    episodes: int
    seed: int = 0
    disturbance: Disturbance = Disturbance()
    options: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """From nothing to a checkpoint.

    model: a name of `baselines.MODELS`. The horizon and the pictures' size are the config's.
    """

    model: str
    demonstrations: Demonstrations
    config: Pi0Config
    training: train.Recipe


WALL = Demonstrations(
    ("Wall", "WallLeft", "WallRight"),
    episodes=120,
    options={"runway": (0.1, 0.3), "cameras": ("front",)},
)
SIZE = Pi0Config.mini(action_dim=4, state_dim=4, horizon=16)
TRAINING = train.Recipe(
    steps=4500,
    batch_size=32,
    learning_rate=1.5e-3,
    final_learning_rate=7.5e-5,
    warmup=100,
    ema=0.995,
)
TABLE = Demonstrations(tuple(TASKS), episodes=25, disturbance=Disturbance(0.1, 0.5, 0.04))
TABLE_SIZE = Pi0Config.mini(
    action_dim=4,
    state_dim=4,
    horizon=10,
    vlm=ExpertConfig(96, depth=4, mlp_dim=192, num_heads=4, num_kv_heads=1, head_dim=32),
    action_expert=ExpertConfig(160, depth=4, mlp_dim=320, num_heads=4, num_kv_heads=1, head_dim=32),
    vision=VisionConfig(64, patch_size=16, width=128, depth=2, num_heads=4, mlp_dim=256),
)
TABLE_TRAINING = train.Recipe(
    steps=11000,
    batch_size=32,
    learning_rate=1e-3,
    final_learning_rate=5e-5,
    warmup=200,
    ema=0.998,
)
TOUCH = Demonstrations(("Touch",), episodes=960)
RECIPES = {
    "tasks": Recipe("Pi0", TABLE, TABLE_SIZE, TABLE_TRAINING),
    "tasks_regression": Recipe("Regression", TABLE, TABLE_SIZE, TABLE_TRAINING),
    "wall": Recipe("Pi0", WALL, SIZE, TRAINING),
    "wall_regression": Recipe("Regression", WALL, SIZE, TRAINING),
}


def demonstrations(recipe: Demonstrations, progress: bool = True) -> Path:
    """The folder of a recipe's data set, made once and kept in the cache."""
    folder = cache_folder() / "demonstrations" / digest(recipe)[:16]
    if not folder.exists():
        r = recipe
        generate(folder, list(r.tasks), r.episodes, r.seed, r.disturbance, progress, **r.options)
    return folder


def make(name: str, out: str | Path, recipe: Recipe | None = None, progress: bool = True) -> Path:
    """Demonstrate, train, and write the checkpoint in bf16 to `out`: all that RETRAIN needs.

    name: of RECIPES; with `recipe`, only a name. What is interrupted goes on where it stopped.
    Returns `out`. Raises ValueError for an unknown name.
    """
    if recipe is None and name not in RECIPES:
        raise ValueError(f"there is no recipe {name!r}; there are {', '.join(RECIPES)}")
    recipe, began = recipe or RECIPES[name], time.time()
    out = Path(out).expanduser()
    config = recipe.config
    dataset = data.load(
        demonstrations(recipe.demonstrations, progress),
        config.horizon,
        image_size=config.vision.image_size,
        split="all",
        test_every=None,
        prompt_length=None,
    )
    torch.manual_seed(recipe.training.seed)
    model = MODELS[recipe.model](config)
    state = cache_folder() / "runs" / digest(recipe)[:16]  # until the training is through
    resume, started, cpu = (state / run.STATE).exists(), time.time(), time.process_time()
    train.fit(model, dataset, recipe=recipe.training, out=state, resume=resume, progress=progress)
    about = {
        "recipe": asdict(recipe),
        "recipe_sha256": digest(recipe),
        "command": f"python -m minipi0.robot.recipes {name}",
        "seed": recipe.training.seed,
        "seconds": {
            "data": round(started - began),
            "training": round(time.time() - started),
            "training, of all cores": round(time.process_time() - cpu),
        },
    }
    model.to(torch.bfloat16).save_pretrained(out, about=model.about | about)
    shutil.rmtree(state)
    return out


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = Parser(prog="python -m minipi0.robot.recipes", description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=RECIPES, nargs="+")
    parser.add_argument(
        "--out", type=Path, default=CARRIED, help="the checkpoints' folder (the package's own)"
    )
    args = parser.parse_args(arguments)
    with parser.errors_in_one_line(args):
        for name in args.name:
            print(make(name, args.out / name))


if __name__ == "__main__":
    main()
