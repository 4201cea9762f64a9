"""The trainings behind notebook 08:  python notebooks/measure_08.py [WORD …]

Octo's head, flow matching, regressions and the two-step policy, at the wall: the same backbone,
demonstrations, budget and scenes for all. First a search of the learning rate, two values for each
method; then a training of each, and its scores; then other draws of tau, fewer demonstrations,
other scenes, more seeds. RESULTS grows piece by piece, weights lie in the cache: run again, the
command goes on where it stopped. With words, only pieces whose name holds one of them are measured.
About two hours of one core for everything, 30 minutes for what comes first (one seed of all
methods).
"""

import argparse
import json
import math
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import gymnasium
import torch

import minipi0.robot  # noqa: F401 (registers the environments)
from minipi0 import data, evaluate, toys, train
from minipi0.baselines import (
    GaussianRegression,
    L1Regression,
    Octo,
    OctoFlow,
    Regression,
    TwoStep,
    diffusion,
    residuals,
    tau,
)
from minipi0.baselines.head import STEPS as STEPS_OF_NOISE
from minipi0.checkpoint import write_atomically
from minipi0.config import ExpertConfig, Pi0Config, VisionConfig
from minipi0.data.sources import cache_folder
from minipi0.pi0 import Pi0
from minipi0.robot import recipes
from minipi0.robot.policy import Policy
from minipi0.robot.rollout import Trial, rollout
from minipi0.robot.wall import EXECUTE, HALF, LONG, SHORT, WALL

RESULTS = Path(__file__).parent / "results" / "08_rivals.json"
_HEADS = dict(depth=2, num_heads=2, num_kv_heads=1, head_dim=32)
SIZE = Pi0Config.mini(  # a third of the wall's usual size: many trainings have to fit
    action_dim=4,
    state_dim=4,
    horizon=16,
    vlm=ExpertConfig(48, mlp_dim=96, **_HEADS),
    action_expert=ExpertConfig(96, mlp_dim=192, **_HEADS),
    vision=VisionConfig(64, patch_size=16, width=64, depth=1, num_heads=2, mlp_dim=128),
)
STEPS, SEARCH = 1200, 400  # of training; of a training that tries a learning rate
RATES = (1e-3, 3e-3)
METHODS = {
    "pi0's expert": Pi0,
    "L2 regression": Regression,
    "Octo's diffusion head": Octo,
    "flow head on the readout": OctoFlow,
    "two-step policy": TwoStep,
    "L1 regression": L1Regression,
}
NOISY = "L2 regression + noise"  # these two have no training of their own
CUT = "Octo's head, estimate cut"
SLOWER = {"Octo's diffusion head": 1e-3}  # at 3e-3, better in the search, its loss jumped to 19
TAUS = {
    "uniform": toys.uniform_tau,
    "Beta, a = 6": tau.beta,
    "logit-normal": tau.logit_normal,
}
SUBSETS = (
    *((15, ""), (60, ""), (None, "")),
    *((18, "balanced"), (60, "balanced"), (18, "matched"), (60, "matched")),
)
EULER = (1, 2, 5, 10, 20)
TEST_EVERY, SAMPLES, FIRST_SEED = 10, 8, 800_000
SCENES = {  # tasks, runway, trials of each task
    "short": (("Wall",), SHORT, 100),
    "long": (("Wall",), LONG, 50),
    "told": (("WallLeft", "WallRight"), SHORT, 25),
}
COLUMNS = ("seed", "success", "touched", "side", "frames")


@dataclass(frozen=True)
class Run:
    """One training.

    draw: a name of TAUS, None for pi0's. demonstrations: None for all, else evenly spaced ones;
    chosen: "balanced", as many on the left as on the right; "matched", and from equally far away.
    times: as long.
    """

    method: str
    seed: int = 0
    draw: str | None = None
    demonstrations: int | None = None
    chosen: str = ""
    times: int = 1

    @property
    def name(self) -> str:
        parts = [self.method, self.draw and f"tau {self.draw}"]
        chosen = f"{self.chosen} ".lstrip()
        parts.append(self.demonstrations and f"{self.demonstrations} {chosen}demonstrations")
        parts.append(self.times > 1 and f"{self.times} times as long")
        return ", ".join([p for p in parts if p] + [f"seed {self.seed}"])

    @property
    def folder(self) -> Path:
        return cache_folder() / "study" / "08" / f"{STEPS} steps" / self.name.replace(" ", "_")

    def named(self, scene: str, steps: int = 10) -> str:
        """The name of its trials."""
        return f"{self.name}: {scene}" + (f", {steps} steps" if self.euler != (10,) else "")

    @property
    def euler(self) -> tuple[int, ...]:
        return EULER if METHODS[self.method] in (Pi0, OctoFlow) else (10,)


class EndAtTouch(gymnasium.Wrapper):
    """Ends a trial where the wall is touched: it is a failure from then on."""

    def step(self, action):
        seen, reward, terminated, truncated, info = self.env.step(action)
        return seen, reward, terminated or info["touched"], truncated, info


def chunks(split: str):
    """The wall's demonstrations, every tenth held out."""
    folder = recipes.demonstrations(recipes.WALL)
    options = dict(test_every=TEST_EVERY, test_seed="first", prompt_length=None, image_size=64)
    return data.load(folder, SIZE.horizon, split=split, **options)


def kinds(demonstrations) -> dict[tuple[bool, int], dict[int, float]]:
    """{(whether the words tell the side, -1 for left or 1 for right): {episode: its runway, m}}."""
    found = defaultdict(dict)
    for e in demonstrations.episodes:
        rows = demonstrations.episode_index == e
        words = demonstrations.task_texts[demonstrations.task_index[rows][0]]
        x, y = demonstrations.state[rows, :2].T
        side = int(x[(y > WALL[1]).nonzero()[0, 0]].sign())
        found["left" in words or "right" in words, side][e] = WALL[1] - HALF[1] - y[0].item()
    return found


def few(demonstrations, run: Run) -> list[int]:
    """The episodes of a run."""
    if not run.chosen:
        every = len(demonstrations.episodes) // run.demonstrations
        return demonstrations.episodes[::every][: run.demonstrations]
    chosen = []
    for (told, _), runways in kinds(demonstrations).items():
        count = run.demonstrations // (3 if told else 6)  # a third of the words leave it open
        if run.chosen == "balanced":
            chosen += list(runways)[:: len(runways) // count][:count]
            continue
        free = dict(runways)
        for wanted in torch.linspace(SHORT, LONG, count).tolist():
            nearest = min(free, key=lambda e: abs(free[e] - wanted))
            chosen.append(nearest)
            del free[nearest]
    return sorted(chosen)


def untold() -> dict[str, list]:
    """{which demonstrations: [[runway in m, side], …] of those whose words leave the side open}."""
    demonstrations = chunks("train")
    every = kinds(demonstrations)
    found = {}
    for count, chosen in SUBSETS:
        run = Run("pi0's expert", demonstrations=count, chosen=chosen)
        some = few(demonstrations, run) if count else demonstrations.episodes
        found[f"{count or len(some)} {chosen}".strip()] = sorted(
            [round(float(runway), 3), side]
            for (told, side), runways in every.items()
            for e, runway in runways.items()
            if e in some and not told
        )
    return found


def fitted(run: Run, rate: float, steps: int, demonstrations) -> tuple[torch.nn.Module, list]:
    """A model, trained, and its losses."""
    torch.manual_seed(run.seed)
    model = METHODS[run.method](SIZE)
    recipe = train.Recipe(
        steps=steps,
        batch_size=32,
        learning_rate=rate,
        final_learning_rate=rate / 20,
        warmup=50,
        ema=0.99,
        seed=run.seed,
    )
    some = demonstrations
    if run.demonstrations:
        some = data.Subset(some, few(some, run))
    trained = tau.TrainedOn(model, TAUS[run.draw]) if run.draw else model
    losses = train.fit(trained, some, recipe=recipe, progress=False)
    model.stats, model.about = demonstrations.stats, demonstrations.about()
    return model.eval(), losses


def energy(model, held_out, steps: int, every: int = 6) -> list[float]:
    """The mean energy score of every held-out episode's chunks."""
    indices = torch.arange(len(held_out))[::every]
    found = evaluate.open_loop(model, held_out, indices, samples=SAMPLES, steps=steps)
    scores = found.energy()
    return [round(scores[found.episode == e].nanmean().item(), 4) for e in held_out.episodes]


def trials(model, scene: str, steps: int = 10) -> list[list[int]]:
    """[[seed, success, touched, side, frames], …], on the same seeds for every model."""
    tasks, runway, count = SCENES[scene]
    policy, found = Policy(model, execute=EXECUTE, steps=steps), []
    for task in tasks:
        options = dict(runway=runway, image_size=64, pictures=False, disable_env_checker=True)
        env = EndAtTouch(gymnasium.make(f"minipi0/{task}-v0", **options))
        runs = [rollout(env, policy, FIRST_SEED + i) for i in range(count)]
        env.close()
        found += [[int(getattr(run, column)) for column in COLUMNS] for run in runs]
    return found


def milliseconds(models: dict, seen, rounds: int = 15) -> dict[str, dict[str, float]]:
    """CPU time of one chunk, the fastest of some rounds, in which the models take turns.

    models: by name. seen: one observation. Returns {name: {"chunk": all of it, "pass": what runs
    once, "step": what runs again and again, "steps": how often}}; without steps, pass is chunk.
    """
    noise = torch.zeros(1, SIZE.horizon, SIZE.action_dim)
    times = {name: {"chunk": math.inf, "pass": math.inf} for name in models}
    for _ in range(rounds):
        for name, model in models.items():
            parts = {"chunk": lambda m=model: m.sample_actions(seen, noise=noise, steps=10)}
            if isinstance(model, Octo):
                parts["pass"] = lambda m=model: m.readout(seen)
            elif type(model) in (Pi0, TwoStep):
                parts["pass"] = lambda m=model: m.encode(seen)
            for part, function in parts.items():
                began = time.process_time()
                with torch.no_grad():
                    function()
                times[name][part] = min(times[name][part], 1000 * (time.process_time() - began))
    steps = {Pi0: 10, TwoStep: 2, Octo: STEPS_OF_NOISE, OctoFlow: 10}
    for name, found in times.items():
        found["pass"] = min(found["pass"], found["chunk"])
        found["steps"] = steps.get(type(models[name]), 0)
        found["step"] = (found["chunk"] - found["pass"]) / max(found["steps"], 1)
    return times


def noise_errors(model: Octo, held_out) -> list[float]:
    """How far the predicted noise of held-out chunks is off at each of the 20 levels, rms."""
    seen, actions, mask = held_out.batch(torch.arange(len(held_out))[::6])
    noise = torch.randn(actions.shape, generator=torch.Generator().manual_seed(0))
    found = []
    with torch.no_grad():
        readout = model.readout(seen)
        for step, bar in enumerate(diffusion.cosine_schedule(STEPS_OF_NOISE)):
            a, s = diffusion.amplitudes(bar)
            noisy = (a * actions + s * noise).float()
            predicted = model.head(readout, noisy, torch.full((len(actions),), step))
            found.append(round((predicted - noise)[mask].square().mean().sqrt().item(), 4))
    return found


# ---- the pieces --------------------------------------------------------------------------------


def search(method: str, rate: float) -> dict:
    """The held-out score of a short training."""
    demonstrations = chunks("train")
    model, _ = fitted(Run(method), rate, SEARCH, demonstrations)
    return {"energy": energy(model, chunks("test"), 10)}


def best_rate(method: str) -> float:
    """The learning rate whose short training scores better, but for those in SLOWER."""
    if method in SLOWER:
        return SLOWER[method]
    found = load()
    scores = {rate: found[f"search: {method}, {rate:g}"]["energy"] for rate in RATES}
    return min(RATES, key=lambda rate: sum(scores[rate]))


def training(run: Run) -> dict:
    """Train, keep the weights, score held-out chunks."""
    rate, began = best_rate(run.method), time.process_time()
    model, losses = fitted(run, rate, run.times * STEPS, chunks("train"))
    seconds = round(time.process_time() - began)
    model.save_pretrained(run.folder)
    held_out = chunks("test")
    ends = range(100, len(losses) + 1, 100)
    errors = {"noise error": noise_errors(model, held_out)} if type(model) is Octo else {}
    return errors | {
        "learning rate": rate,
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": seconds,
        "loss": [round(sum(losses[end - 100 : end]) / 100, 4) for end in ends],
        "energy": {steps: energy(model, held_out, steps) for steps in run.euler},
    }


def trained(run: Run) -> torch.nn.Module:
    """The weights that `training` kept."""
    return METHODS[run.method].from_pretrained(run.folder)


def with_noise(run: Run) -> GaussianRegression:
    """A trained regression and the noise of its residuals on demonstrations it was trained on."""
    regression, demonstrations = trained(run), chunks("train")
    found = residuals(regression, demonstrations, evaluate.spread(demonstrations, 3000))
    return GaussianRegression(regression, found)


def cut(run: Run) -> Octo:
    """A trained Octo that cuts the action that every step estimates."""
    model = trained(run)
    model.cut_estimate = True
    return model


EXTRA = {NOISY: ("L2 regression", with_noise), CUT: ("Octo's diffusion head", cut)}


def scored(model) -> dict:
    """What a training of its own would tell."""
    return {"energy": {10: energy(model, chunks("test"), 10)}}


def pieces() -> dict:
    """Every piece by its name, the most wanted first: functions without arguments."""
    found = {}

    def add(run: Run, scene: str = "short", steps: int = 10) -> None:
        for rate in RATES:  # before the first training of a method
            name = f"search: {run.method}, {rate:g}"
            found.setdefault(name, lambda rate=rate: search(run.method, rate))
        found.setdefault(run.name, lambda: training(run))
        found[run.named(scene, steps)] = lambda: {"trials": trials(trained(run), scene, steps)}

    def add_extra(kind: str, seed: int, scene: str = "short", times: int = 1) -> None:
        method, make = EXTRA[kind]
        run = Run(method, seed, times=times)
        name = run.name.replace(method, kind)
        found.setdefault(name, lambda: scored(make(run)))
        found[f"{name}: {scene}"] = lambda: {"trials": trials(make(run), scene)}

    def all_methods(seed: int) -> None:
        for method in METHODS:
            add(Run(method, seed))
        add(Run("pi0's expert", seed), steps=1)
        for kind in EXTRA:
            add_extra(kind, seed)

    all_methods(0)
    for method in METHODS:
        add(Run(method), "told")
    for draw in TAUS:
        for steps in (10, 1):
            add(Run("pi0's expert", draw=draw), steps=steps)
    for draw in (None, *TAUS):
        add(Run("pi0's expert", draw=draw), "told", steps=1)
    for method in METHODS:
        add(Run(method), "long")
    for scene in ("told", "long"):
        for kind in EXTRA:
            add_extra(kind, 0, scene)
    all_methods(1)
    all_methods(2)
    for seed in (0, 1):
        add(Run("Octo's diffusion head", seed, times=5))
        add_extra(CUT, seed, times=5)
    found["untold demonstrations"] = untold
    for seed in (0, 1):
        for count, chosen in SUBSETS:
            for steps in (10, 1) if count else ():
                add(Run("pi0's expert", seed, demonstrations=count, chosen=chosen), steps=steps)
    for seed in (1, 2):
        for draw in TAUS:
            add(Run("pi0's expert", seed, draw))
    for scene in ("told", "long"):
        for seed in (1, 2):
            for method in METHODS:
                add(Run(method, seed), scene)
            for kind in EXTRA:
                add_extra(kind, seed, scene)
            if scene == "told":
                for draw in (None, *TAUS):
                    add(Run("pi0's expert", seed, draw), "told", steps=1)
    return found


def outcomes(run: Run, scene: str = "short", steps: int = 10) -> list[Trial] | None:
    """The trials of a training, None where they are not measured."""
    return _trials(load().get(run.named(scene, steps)))


def extra_outcomes(
    kind: str, seed: int = 0, scene: str = "short", times: int = 1
) -> list[Trial] | None:
    """The same of NOISY and CUT."""
    method, _ = EXTRA[kind]
    name = Run(method, seed, times=times).name.replace(method, kind)
    return _trials(load().get(f"{name}: {scene}"))


def _trials(piece: dict | None) -> list[Trial] | None:
    """A told scene has the left task first, then the right one, on the same seeds."""
    if piece is None:
        return None
    rows = piece["trials"]
    half = len(rows) // 2 if len({row[0] for row in rows}) < len(rows) else len(rows)
    return [
        Trial("first" if i < half else "second", seed, bool(success), bool(touched), side, frames)
        for i, (seed, success, touched, side, frames) in enumerate(rows)
    ]


def load() -> dict[str, dict]:
    """What is measured, by the piece's name."""
    return json.loads(RESULTS.read_text())["pieces"] if RESULTS.exists() else {}


def keep(name: str, found: dict) -> None:
    """A line for every piece, in the order of `pieces`."""
    everything = load() | {name: found}
    order = {n: i for i, n in enumerate(pieces())}
    names = sorted(everything, key=lambda n: order.get(n, math.inf))
    lines = ",\n".join(f"{json.dumps(n)}: {json.dumps(everything[n])}" for n in names)
    head = {"command": "python notebooks/measure_08.py", "columns": COLUMNS}
    head |= {"steps": STEPS, "search steps": SEARCH, "rates": RATES}
    text = json.dumps(head)[:-1] + ', "pieces": {\n' + lines + "\n}}\n"
    RESULTS.parent.mkdir(exist_ok=True)
    write_atomically(RESULTS, lambda path: path.write_text(text))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("words", nargs="*", help="parts of the pieces' names; without, all")
    words = parser.parse_args().words
    torch.set_num_threads(1)
    for name, piece in pieces().items():
        if name in load() or (words and not any(word in name for word in words)):
            continue
        began, cpu = time.time(), time.process_time()
        found = piece()
        keep(name, found)
        took = f"{time.time() - began:.0f} s, {time.process_time() - cpu:.0f} of CPU"
        said = {k: v for k, v in found.items() if k not in ("trials", "energy")}
        if "trials" in found:
            rows = found["trials"]
            said["success"] = f"{sum(row[1] for row in rows)}/{len(rows)}"
        if "energy" in found:
            scores = found["energy"] if isinstance(found["energy"], dict) else {10: found["energy"]}
            said["energy"] = {k: round(sum(v) / len(v), 4) for k, v in scores.items()}
        print(f"{name} ({took}): {said}", flush=True)


if __name__ == "__main__":
    main()
