"""The trainings behind notebook 07:  python notebooks/measure_07.py [WORD …]

What a pre-trained VLM is worth, in demonstrations; in which order to train on good and poor ones;
how often a rare task should come; when a policy stops to listen. Every training is a row of `plan`.
RESULTS grows by a row at a time: run again, the command goes on where it stopped. With words, only
rows whose name holds one of them are measured. About two hours of one core.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import gymnasium
import numpy as np
import torch
from measure_06 import VLM, fingerprint, score

from minipi0 import data, prompt, train
from minipi0.checkpoint import write_atomically
from minipi0.data.sources import cache_folder
from minipi0.data.writer import Episode, write
from minipi0.pi0 import Pi0
from minipi0.robot import pretrain, touch
from minipi0.robot.demonstrate import Disturbance, demonstrate, hash_seed
from minipi0.robot.policy import Policy
from minipi0.robot.rollout import rollout
from minipi0.robot.simulator import ACTION_NAMES, FPS, STATE_NAMES
from minipi0.train import tuning

RESULTS = Path(__file__).parent / "results" / "07_standing.json"
STILL = Disturbance(noise=0, push=0, often=0)
PARTS = {  # of the demonstrations: options of the scene, disturbance, episodes
    "clean": ({}, Disturbance(), 400),
    "broad": ({"manner": "roundabout", "max_steps": 60}, Disturbance(0.12, 0.5, 0.06), 400),
    "still": ({}, STILL, 80),
    "alone": ({"count": 1}, Disturbance(), 400),
    "held out": ({}, Disturbance(), 64),
}
STEPS = 800
RATE, OTHER_RATE = 6e-4, 1.5e-3  # both tried for either start: 50 demonstrations a name, seed 0
SEEDS = (0, 1, 2)
COUNTS = (1, 5, 10, 25, 50)  # demonstrations a name
FEW = 10
GROUPS = {"trained": touch.TRAINED, "new colours": touch.NEW_COLOURS}
TRIALS, FIRST_SEED, EXECUTE = 40, 700_000, 4
RARE, RARE_COUNT = 0, 4  # the name TRAINED[RARE] has so many demonstrations, the others 50
SAYINGS = {  # what is said instead of "find the red ball"
    "as demonstrated": "find the {0}",
    "another thing's name": "find the {1}",
    "a full stop": ".",
    "touch the …": "touch the {0}",
    "the name alone": "{0}",
}


@dataclass(frozen=True)
class Training:
    """A row of the plan.

    stages: ((name of a part, or of several joined by "+", its share of the steps), …); "few" takes
        FEW demonstrations a name. start: "vlm" or "scratch". count: demonstrations a name of every
        other part, None for all.
    power: RARE has few demonstrations, and a name with n of them comes n**power times as often;
        None: RARE is as the others.
    """

    stages: tuple[tuple[str, float], ...] = (("clean", 1.0),)
    start: str = "vlm"
    frozen: bool = False
    blind: bool = False  # without the robot's state
    count: int | None = None
    power: float | None = None
    seed: int = 0
    steps: int = STEPS
    rate: float = RATE
    asked: str = "names"  # what the trials ask: "names", "rare" or "sayings"


def plan() -> dict[str, Training]:
    """Every training by its name, what matters most first."""
    rows = {}
    for start in ("vlm", "scratch"):
        rows[f"search, {start}, {OTHER_RATE:g}"] = Training(start=start, rate=OTHER_RATE, count=50)
    for seed in SEEDS:
        for count in COUNTS:
            name = f"{count} a name, seed {seed}"
            rows[f"vlm, {name}"] = Training(count=count, seed=seed)
            rows[f"scratch, {name}"] = Training(start="scratch", count=count, seed=seed)
        if seed == 0:
            rows |= {f"{name}, seed 0": row for name, row in _other_questions().items()}
    long = Training(start="scratch", count=50, steps=5 * STEPS)
    rows["scratch, 50 a name, five times as long, seed 0"] = long
    for seed in SEEDS[1:]:
        for name, row in _other_questions().items():
            rows[f"{name}, seed {seed}"] = replace(row, seed=seed)
    return rows


def _other_questions() -> dict[str, Training]:
    """All but how many demonstrations. "vlm, 10 a name" and "vlm, 50 a name" are rows of them too:
    clean demonstrations alone, and without a change.
    """
    rows = {}
    for name, stages in ORDERS.items():
        rows[f"order: {name}"] = Training(stages)
    for part, count in (("alone", 50), ("clean", 50), ("alone+clean", 25)):
        rows[f"language: {part}"] = Training(((part, 1.0),), count=count, asked="sayings")
    rows["expert alone, 50 a name"] = Training(frozen=True, count=50, rate=OTHER_RATE)  # as in 06
    for part in ("still", "broad"):
        rows[f"quality: {part}"] = Training(((part, 1.0),), count=10)
    for power in (1, 0.43, 0):
        rows[f"rare, n^{power:g}"] = Training(power=power, count=50, asked="rare")
    rows["without state, 50 a name"] = Training(blind=True, count=50)
    return rows


ORDERS = {  # 80 clean demonstrations, 400 broad ones
    "broad": (("broad", 1.0),),
    "broad, then clean": (("broad", 0.7), ("few clean", 0.3)),
    "clean, then broad": (("few clean", 0.3), ("broad", 0.7)),
    "both at once": (("few clean+broad", 1.0),),
}


def demonstrations() -> Path:
    """All PARTS as one data set, in their order: one set of statistics, whatever is trained on.

    The names take turns, so a part's first 8 n episodes hold n of each.
    """
    named = {name: [options, vars(d), n] for name, (options, d, n) in PARTS.items()}
    digest = hashlib.sha256(json.dumps([named, touch.NEAR]).encode()).hexdigest()
    folder = cache_folder() / "demonstrations" / f"07-{digest[:12]}"
    if folder.exists():
        return folder
    recorded = []
    for part, (name, (options, disturbance, episodes)) in enumerate(PARTS.items()):
        env = gymnasium.make(
            "minipi0/Touch-v0", pictures=False, disable_env_checker=True, **options
        )
        attempt = 0
        for i in range(episodes):
            env.unwrapped.names = (touch.TRAINED[i % len(touch.TRAINED)],)
            episode = None
            while episode is None or not episode.good:
                episode = demonstrate(env, hash_seed(7, part, attempt), disturbance)
                attempt += 1
            film = {f"observation.images.{c}": shown for c, shown in episode.pictures.items()}
            words = env.unwrapped.prompt
            recorded.append(Episode(episode.states, episode.actions, words, film))
        print(f"{name}: {episodes} episodes of {attempt}", flush=True)
        env.close()
    return write(folder, recorded, FPS, STATE_NAMES, ACTION_NAMES, robot_type="sawyer")


class Drawn(data.Subset):
    """Some episodes, each item as often as `times` says. times: {episode: how often}."""

    def __init__(self, whole, times: dict[int, int]):
        super().__init__(whole, list(times))
        often = torch.tensor([times[int(e)] for e in self.episode_index])
        self.kept = self.kept.repeat_interleave(often)
        self.episode_index = whole.episode_index[self.kept]


def some(whole, stage: str, training: Training) -> dict[int, int]:
    """{episode: how often its items come in an epoch} of one part, or of several joined by "+".

    Other seeds get other demonstrations, as far as there are others.
    """
    names, times = len(touch.TRAINED), {}
    for name in stage.split("+"):
        part = name.removeprefix("few ")
        size = PARTS[part][2]
        count = FEW if name.startswith("few ") else training.count or size // names
        first = sum(n for _, _, n in list(PARTS.values())[: list(PARTS).index(part)])
        kept = [count] * names
        if training.power is not None:
            kept[RARE] = RARE_COUNT
        power = 1 if training.power is None else training.power
        often = np.array(kept) ** (power - 1.0)  # of a demonstration, for n**power of its name
        often = (often / often.min()).round().astype(int)
        if "+" in stage and name.startswith("few "):  # in all as often as the many
            often *= size // names // count
        for k in range(names * count):
            if k // names < kept[k % names]:
                episode = first + (training.seed * names * count + k) % size
                times[whole.episodes[episode]] = int(often[k % names])
    return times


def model_for(training: Training) -> Pi0:
    """A model before its training."""
    torch.manual_seed(training.seed)
    if training.start == "vlm":
        sizes = dict(action_expert=pretrain.EXPERT, action_dim=4, state_dim=4, horizon=8)
        model = Pi0.from_paligemma(VLM, **sizes, dtype=torch.float32)
    else:
        model = Pi0(pretrain.SIZE)
    if training.frozen:
        tuning.freeze(model, "vlm")
    if training.blind:  # the state token is then the same for all states
        model.state_proj.requires_grad_(False)
        model.state_proj.weight.zero_()
    return model


def trials(model: Pi0, asked: str) -> dict[str, list]:
    """{what was asked: [[seed, success, touched another, frames, thing at the end], …]}.

    The thing at the end: 0 for the one that the scene asks for, 1 and 2 for the others.
    """
    policy, found = Policy(model, execute=EXECUTE, steps=10), {}
    rare = touch.TRAINED[RARE]
    groups = {
        "names": GROUPS,
        "rare": {"rare": (rare,), "others": tuple(n for n in touch.TRAINED if n != rare)},
        "sayings": dict.fromkeys(SAYINGS, touch.TRAINED),
    }[asked]
    for group, names in groups.items():
        env = gymnasium.make(
            "minipi0/Touch-v0", names=names, pictures=False, disable_env_checker=True
        )
        robot, rows = env.unwrapped, []
        for seed in range(FIRST_SEED, FIRST_SEED + TRIALS):
            words = None
            if asked == "sayings":
                env.reset(seed=seed)
                words = SAYINGS[group].format(*(thing.name for thing in robot.things))
            run = rollout(env, policy, seed, prompt=words)
            away = [np.linalg.norm(thing.touch - robot.seen[:3]) for thing in robot.things]
            ended = int(np.argmin(away))
            rows.append([seed, int(run.success), int(run.touched), run.frames, ended])
        env.close()
        found[group] = rows
    return found


def measure(training: Training, whole) -> dict:
    """One training and its trials."""
    began = time.process_time()
    model = model_for(training)
    losses = []
    for number, (part, share) in enumerate(training.stages):
        recipe = train.Recipe(
            steps=round(share * training.steps),
            learning_rate=training.rate,
            final_learning_rate=training.rate / 20,
            batch_size=32,
            warmup=50,
            ema=0.99,
            seed=10 * training.seed + number,
        )
        chunks = Drawn(whole, some(whole, part, training))
        losses += train.fit(model.train(), chunks, recipe=recipe, augment=True, progress=False)
    model.stats, model.about = whole.stats, whole.about()
    held_out = data.Subset(whole, whole.episodes[-PARTS["held out"][2] :])
    return {
        "vlm": fingerprint(),
        "seconds": round(time.process_time() - began),
        "loss": round(sum(losses[-100:]) / 100, 4),
        "energy": score(model, held_out),
        "trials": trials(model, training.asked),
    }


def load() -> dict[str, dict]:
    """What was measured so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def rows(words: list[str]) -> Iterator[tuple[str, Training]]:
    for name, training in plan().items():
        if name not in load() and (not words or any(word in name for word in words)):
            yield name, training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("words", nargs="*", help="parts of the rows' names; none means all")
    words = parser.parse_args().words
    torch.set_num_threads(1)
    options = dict(split="all", test_every=None, prompt_length=None)
    whole = data.load(demonstrations(), 8, tokenizer=prompt.word_tokenizer(), **options)
    for name, training in rows(words):
        found = measure(training, whole)
        lines = (f"{json.dumps(k)}: {json.dumps(v)}" for k, v in (load() | {name: found}).items())
        text = ",\n".join(lines)
        write_atomically(RESULTS, lambda path, text=text: path.write_text(f"{{{text}}}\n"))
        shares = {g: sum(row[1] for row in t) / len(t) for g, t in found["trials"].items()}
        print(name, found["seconds"], "s", found["energy"], shares, flush=True)


if __name__ == "__main__":
    main()
