"""Measure what notebook 10 cannot wait for:  python notebooks/measure_10.py

Trains notebook 10's model with several seeds and with fewer episodes, and scores each on held-out
episodes. Writes results/10_seeds_and_episodes.json, a training at a time: run again, it goes on
where it stopped. About 15 minutes on two cores.
"""

import argparse
import json
from pathlib import Path

import torch

from minipi0 import Pi0, Pi0Config, data, evaluate, train
from minipi0.baselines import Regression
from minipi0.checkpoint import write_atomically

OUT = Path(__file__).parent / "results" / "10_seeds_and_episodes.json"
RECIPE = dict(steps=500, batch_size=32, learning_rate=2e-3)
STEPS = (1, 2, 5, 10, 20)  # Euler steps
SEEDS = (0, 1, 2)
EPISODES = (4, 16)  # and all of them


def measure(source: str, method: str, seed: int, episodes: int | None) -> dict:
    """Scores of one training, per held-out episode: {steps: {episode: mean energy score}}."""
    load = dict(source=source, horizon=16, prompt_length=None)
    train_set, test_set = data.load(**load, split="train"), data.load(**load, split="test")
    dims = dict(action_dim=len(train_set.action_names), state_dim=len(train_set.state_names))
    torch.manual_seed(seed)
    model = {"flow": Pi0, "regression": Regression}[method](Pi0Config.mini(**dims, horizon=16))
    chunks = (
        train_set if episodes is None else data.Subset(train_set, train_set.episodes[:episodes])
    )
    train.fit(model, chunks, recipe=train.Recipe(**RECIPE, seed=seed), progress=False)
    items = evaluate.spread(test_set, 300)
    scores = {}
    for steps in STEPS if method == "flow" else (1,):
        samples = 16 if method == "flow" else 1
        run = evaluate.open_loop(model, test_set, items, samples=samples, steps=steps)
        energy = run.energy()
        scores[steps] = {
            e: round(energy[run.episode == e].mean().item(), 5) for e in test_set.episodes
        }
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", nargs="*", default=["cr5-banana"])
    results = json.loads(OUT.read_text()) if OUT.exists() else {}
    for source in parser.parse_args().source:
        wanted = [(m, s, None) for s in SEEDS for m in ("flow", "regression")]
        wanted += [(m, s, n) for n in EPISODES for s in SEEDS[:2] for m in ("flow", "regression")]
        done = results.setdefault(source, {})
        for method, seed, episodes in wanted:
            key = f"{method}, seed {seed}, {episodes or 'all'} episodes"
            if key in done:
                continue
            done[key] = measure(source, method, seed, episodes)
            print(
                source, key, {s: sum(v.values()) / len(v) for s, v in done[key].items()}, flush=True
            )
            text = json.dumps(results)
            write_atomically(OUT, lambda path, text=text: path.write_text(text))


if __name__ == "__main__":
    main()
