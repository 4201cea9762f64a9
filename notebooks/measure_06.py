"""The trainings behind notebook 06:  python notebooks/measure_06.py [WORD …]

A road is a way to put actions beside the carried VLM. Every road is trained on the same
demonstrations with the same recipe, from the same VLM, and meets the same scenes. RESULTS grows by
a training at a time: run again, the command goes on where it stopped. With words, only roads whose
name holds one of them are trained. About 75 minutes of one core.
"""

import argparse
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import gymnasium
import torch

import minipi0.robot  # noqa: F401 (registers the environments)
from minipi0 import data, evaluate, prompt, train
from minipi0.baselines import CoTrained, GiantDecoder, Insulated
from minipi0.checkpoint import without_checksums, write_atomically
from minipi0.pi0 import Pi0
from minipi0.robot import pretrain, questions, recipes, touch
from minipi0.robot.policy import Policy
from minipi0.robot.rollout import rollout
from minipi0.train import tuning

RESULTS = Path(__file__).parent / "results" / "06_roads.json"
BEFORE = RESULTS.with_name("06_vlm.json")  # the VLM's answers before any robot data
VLM = recipes.CARRIED / "vlm"
RECIPE = dict(steps=2000, batch_size=32, warmup=50, ema=0.99)
RATES = (6e-4, 1.5e-3)  # both tried, with seed 0, for SEARCHED; the better energy score decides
SEEDS = (0, 1, 2)
GROUPS = {  # what the trials ask for
    "trained": touch.TRAINED,
    "new pairs": touch.NEW_PAIRS,
    "new colours": touch.NEW_COLOURS,
}
TRIALS, FIRST_SEED, EXECUTE = 40, 600_000, 4
EVERY = 250  # training steps between two scores of held-out chunks
HELD_OUT = 60  # episodes


@dataclass(frozen=True)
class Road:
    """A way to train. kind: the model. width: the expert's; None is the usual one.

    frozen: leave the VLM as it is. questions: train on the VLM's own task too.
    """

    kind: type = Pi0
    width: int | None = None
    frozen: bool = False
    questions: bool = False

    def model(self) -> Pi0:
        """The carried VLM with what this road puts beside it."""
        expert = dict(width=self.width or pretrain.EXPERT.width)
        expert = pretrain.ExpertConfig(
            **vars(pretrain.EXPERT) | expert | dict(mlp_dim=2 * expert["width"])
        )
        sizes = dict(action_expert=expert, action_dim=4, state_dim=4, horizon=8)
        model = self.kind.from_paligemma(VLM, **sizes, dtype=torch.float32)
        if self.frozen:
            tuning.freeze(model, "vlm")
        return model


ROADS = {
    "separate expert": Road(),
    "separate expert, as wide as the VLM": Road(width=pretrain.SIZE.vlm.width),
    "one giant decoder": Road(GiantDecoder),
    "frozen VLM": Road(frozen=True),
    "gradient stopped, VLM on its questions": Road(Insulated, questions=True),
    "both trained on both tasks": Road(questions=True),
}


SEARCHED = (  # the others take the first one's
    *("separate expert", "one giant decoder", "frozen VLM"),
    "gradient stopped, VLM on its questions",
)


class Watched(torch.nn.Module):
    """A model in training; every EVERY steps held-out chunks are scored, with its weights as they
    are.
    """

    def __init__(self, trained, model: Pi0, held_out):
        super().__init__()
        self.trained, self.watch = trained, lambda: score(model, held_out)
        self.energy: dict[int, float] = {}
        self.calls = 0

    def loss(self, *args, **kwargs):
        if self.calls % EVERY == 0:
            self.energy[self.calls] = self.watch()
        self.calls += 1
        return self.trained.loss(*args, **kwargs)


def score(model: Pi0, held_out: data.Subset, samples: int = 8) -> float:
    """The mean energy score of held-out chunks, ten Euler steps."""
    indices = torch.arange(len(held_out))[::8]
    observation, actions, mask = held_out.batch(indices)
    many = observation[torch.arange(len(indices)).repeat(samples)]
    noise = torch.randn(
        len(many.state), *actions.shape[1:], generator=torch.Generator().manual_seed(0)
    )
    drawn = model.sample_actions(many, noise=noise).unflatten(0, (samples, -1))
    return round(evaluate.energy_score(drawn, actions, mask).nanmean().item(), 4)


def skill(model: Pi0) -> dict[str, list[int]]:
    """{kind of question: [right, asked]} on pictures that nothing was trained on."""
    asked = pretrain.pictures(500, pretrain.HELD_OUT, progress=False)
    right = questions.score(model, asked, torch.arange(0, len(asked), 8))
    return {kind: [sum(found), len(found)] for kind, found in right.items()}


def trials(model: Pi0, execute: int = EXECUTE, count: int = TRIALS, steps: int = 10) -> dict:
    """{group: [[seed, success, touched another, frames], …]} in closed loop."""
    policy, found = Policy(model, execute=execute, steps=steps), {}
    for group, names in GROUPS.items():
        env = gymnasium.make(
            "minipi0/Touch-v0", names=names, pictures=False, disable_env_checker=True
        )
        runs = [rollout(env, policy, FIRST_SEED + i) for i in range(count)]
        env.close()
        found[group] = [[r.seed, int(r.success), int(r.touched), r.frames] for r in runs]
    return found


def fingerprint() -> str:
    """Of the carried VLM's file without its checksums: a result belongs to it."""
    return hashlib.sha256(without_checksums(VLM / "model.safetensors")).hexdigest()[:16]


def median_ms(function, repeats: int = 9) -> float:
    """Of the CPU time of one call."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        function()
        times.append(1000 * (time.process_time() - began))
    return round(sorted(times)[repeats // 2], 2)


def cost(trained, model: Pi0, chunks) -> dict[str, float]:
    """Milliseconds of CPU: a training step of 32 chunks, and an Euler step for one."""
    observation, actions, mask = chunks.batch(torch.arange(32))
    generator = torch.Generator().manual_seed(0)

    def step():
        trained.loss(observation, actions, action_mask=mask, generator=generator).backward()
        trained.zero_grad()

    one, noise = observation[:1], torch.zeros(1, *actions.shape[1:])
    with torch.no_grad():
        ten = median_ms(lambda: model.sample_actions(one, noise=noise, steps=10))
        twenty = median_ms(lambda: model.sample_actions(one, noise=noise, steps=20))
    return {"training step": median_ms(step), "Euler step": round((twenty - ten) / 10, 2)}


def measure(road: Road, seed: int, rate: float, chunks, held_out) -> dict:
    """One training and all that the notebook wants to know of it."""
    torch.manual_seed(seed)
    model = road.model()
    trained = (
        CoTrained(model, pretrain.pictures(8000, 0, progress=False)) if road.questions else model
    )
    costs = cost(trained, model, chunks)
    watched = Watched(trained, model, held_out)
    model.train()
    rates = dict(learning_rate=rate, final_learning_rate=rate / 20)
    recipe = train.Recipe(**RECIPE, **rates, seed=seed)
    losses = train.fit(watched, chunks, recipe=recipe, augment=True, progress=False)
    model.stats, model.about = chunks.stats, chunks.about()
    ends = range(50, len(losses) + 1, 50)
    return {
        "vlm": fingerprint(),
        "rate": rate,
        "parameters": sum(p.numel() for p in model.parameters()),
        "trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "milliseconds": costs,
        "loss": [round(sum(losses[end - 50 : end]) / 50, 4) for end in ends],
        "energy": watched.energy | {len(losses): score(model, held_out)},
        "skill": skill(model),
        "trials": trials(model),
    }


def costs_side_by_side(chunks) -> None:
    """Measure the cost of all roads in turn, three times, and note the medians in RESULTS: what a
    busy machine adds, it adds to all.
    """
    rounds = []
    for _ in range(3):
        rounds.append({})
        for name, road in ROADS.items():
            model = road.model()
            asked = pretrain.pictures(500, pretrain.HELD_OUT, progress=False)
            rounds[-1][name] = cost(
                CoTrained(model, asked) if road.questions else model, model, chunks
            )
    results = load()
    for key, result in results.items():
        name = key.split(", seed ")[0]
        for what in result["milliseconds"]:
            result["milliseconds"][what] = sorted(one[name][what] for one in rounds)[1]
    write(results)


def write(results: dict[str, dict]) -> None:
    """A line for every training."""
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in results.items())
    write_atomically(RESULTS, lambda path: path.write_text(f"{{{lines}}}\n"))


def last_energy(result: dict) -> float:
    return list(result["energy"].values())[-1]


def best_rate(results: dict[str, dict], road: str) -> float:
    """The learning rate with which held-out chunks are forecast best, with seed 0."""
    road = road if road in SEARCHED else SEARCHED[0]
    return min(RATES, key=lambda r: last_energy(results[f"{road}, seed 0, rate {r:g}"]))


def load() -> dict[str, dict]:
    """What was measured so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def add(key: str, road: Road, seed: int, rate: float, chunks, held_out) -> None:
    """Measure what RESULTS lacks, and write it there."""
    if key in load():
        return
    began, found = time.time(), measure(road, seed, rate, chunks, held_out)
    write(load() | {key: found})  # read again: another process may have added its own
    rates = {group: sum(t[1] for t in ts) / len(ts) for group, ts in found["trials"].items()}
    print(key, f"{time.time() - began:.0f} s", rates, found["skill"], found["energy"], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("words", nargs="*", help="parts of the roads' names; none means all")
    words = parser.parse_args().words
    torch.set_num_threads(1)
    mind = Road().model()
    answers = {"vlm": fingerprint(), "skill": skill(mind)}
    write_atomically(BEFORE, lambda path: path.write_text(json.dumps(answers) + "\n"))
    spoken = prompt.word_tokenizer()
    load_options = dict(split="all", test_every=None, prompt_length=None, tokenizer=spoken)
    whole = data.load(recipes.demonstrations(recipes.TOUCH), 8, **load_options)
    last = len(whole.episodes) - HELD_OUT
    chunks = data.Subset(whole, whole.episodes[:last])
    held_out = data.Subset(whole, whole.episodes[last:])
    wanted = {n: r for n, r in ROADS.items() if not words or any(word in n for word in words)}
    for name in SEARCHED:
        for rate in RATES:
            add(f"{name}, seed 0, rate {rate:g}", ROADS[name], 0, rate, chunks, held_out)
    for seed in SEEDS:
        for name, road in wanted.items():
            rate = best_rate(load(), name)
            add(f"{name}, seed {seed}, rate {rate:g}", road, seed, rate, chunks, held_out)
    costs_side_by_side(chunks)


if __name__ == "__main__":
    main()
