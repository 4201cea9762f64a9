"""Checks of notebook 06's exercises."""

import torch

from minipi0 import ExpertConfig, Pi0, Pi0Config, VisionConfig
from minipi0.evaluate import paired_interval
from minipi0.exercises import exercise
from minipi0.exercises.answers import measured, near, numbers

_HEADS = dict(depth=2, num_heads=2, num_kv_heads=1, head_dim=8)
VLM_PARTS = {
    "vision.": "vision tower",
    "projector.": "projector",
    "embedding.": "embedding",
    "experts.vlm.": "VLM's layers",
}


def small(kind: type = Pi0) -> Pi0:
    """A model of a few thousand parameters to try an answer on."""
    torch.manual_seed(0)
    config = Pi0Config(
        vlm=ExpertConfig(width=24, mlp_dim=32, **_HEADS),
        action_expert=ExpertConfig(width=16, mlp_dim=24, **_HEADS),
        vision=VisionConfig(16, patch_size=8, width=16, depth=1, num_heads=2, mlp_dim=24),
        vocab_size=80,
        action_dim=4,
        state_dim=4,
        horizon=3,
    )
    return kind(config)


@exercise("06.1")
def _weights_per_euler_step(answer):
    expert, giant = numbers(
        answer, "millions of parameters with pi0's expert, with a giant decoder"
    )
    if near(expert, 1981.9, 5) and near(giant, 311.5, 5):
        return "the two are exchanged: the expert is the small one"
    if near(expert, 315, 300) and expert < 300:
        return "count all 18 layers of the action expert, and its final norm"
    if not near(expert, 311.5, 5):
        return (
            f"an Euler step of pi0 runs through the action expert's layers alone, not {expert:g} M"
        )
    if near(giant, 1981.9 + 311.5, 5):
        return (
            "in a giant decoder there is no action expert: its tokens go through the VLM's layers"
        )
    if near(giant, 2508.5, 10):
        return "the embedding is a table that is looked up: no action token runs through its rows"
    if not near(giant, 1981.9, 5):
        return f"an action token of a giant decoder runs through the VLM's layers, not {giant:g} M"
    return None


@exercise("06.2")
def _insulate(answer):
    cache = [(torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)) for _ in "ab"]
    found = answer(cache)
    try:
        pairs = [tuple(pair) for pair in found]
        parts = [part for pair in pairs for part in pair]
    except TypeError:
        return "return a list of (keys, values), a pair per layer, as the cache is"
    if len(pairs) != len(cache) or any(len(pair) != 2 for pair in pairs):
        return f"return a pair of keys and values for each of the {len(cache)} layers"
    if any(not torch.is_tensor(part) for part in parts):
        return "keys and values must still be tensors"
    if any(part.requires_grad for part in parts):
        which = "keys" if pairs[0][0].requires_grad else "values"
        return f"a gradient still flows back through the {which}"
    if any(
        (a != b).any()
        for pair, old in zip(pairs, cache, strict=True)
        for a, b in zip(pair, old, strict=True)
    ):
        return "the numbers changed: only the gradient is to be cut"
    if not cache[0][0].requires_grad:
        return "the cache that was given is changed: make new tensors"
    return None


@exercise("06.3")
def _freeze(answer):
    model = small()
    answer(model)
    trained = {name for name, weights in model.named_parameters() if weights.requires_grad}
    everything = {name for name, _ in model.named_parameters()}
    wanted = {name for name in everything if not name.startswith(tuple(VLM_PARTS))}
    if trained == everything:
        return "nothing is frozen: set requires_grad to False"
    for part, what in VLM_PARTS.items():
        if any(name.startswith(part) for name in trained):
            return f"the {what} still learns, so the VLM changes"
    if lost := sorted(wanted - trained):
        return f"{lost[0]} is frozen too: it belongs to the action expert, which must learn"
    return None


@exercise("06.4")
def _difference(answer, tolerance: float = 0.6):
    return None if answer is None else judge_difference(answer, tolerance)


def judge_difference(answer, tolerance: float) -> str | None:
    """Points and interval against what the stored trials give; see `stored`."""
    points, low, high = numbers(answer, "difference in points, lower end, upper end")
    wanted = [100 * value for value in stored()]
    if max(abs(points), abs(low), abs(high)) <= 1 < max(map(abs, wanted)):
        return "give points of a percent: 100 times the difference of the rates"
    if near(points, -wanted[0], tolerance) and not near(wanted[0], 0, tolerance):
        return "the sign is turned: first the road with both tasks, then the giant decoder"
    if not near(points, wanted[0], tolerance):
        return (
            f"the difference is not {points:g} points: count all seeds, and the new colours alone"
        )
    if not (near(low, wanted[1], 2) and near(high, wanted[2], 2)):
        return "the difference is right, the interval is not: use the pairs of equal starts"
    return None


def stored() -> tuple[float, float, float]:
    """(difference, low, high): both tasks minus the giant decoder, with new colours."""
    found = measured("06_roads.json")
    a, b = (_rows(found, road) for road in ("both trained on both tasks", "one giant decoder"))
    shared = a.keys() & b.keys()
    only_a = sum(a[start] > b[start] for start in shared)
    only_b = sum(a[start] < b[start] for start in shared)
    return paired_interval(only_a, only_b, len(shared))


def _rows(found: dict, road: str) -> dict:
    """{(seed of the training, of the trial): success} with new colours, at the road's own rate."""
    of_road = {key: result for key, result in found.items() if key.startswith(f"{road}, seed ")}
    first = [key for key in of_road if ", seed 0, " in key]
    best = min(first, key=lambda key: list(found[key]["energy"].values())[-1])
    rate = best.rsplit(" ", 1)[1]
    return {
        (key.split(", ")[-2], row[0]): row[1]
        for key, result in of_road.items()
        if key.endswith(f"rate {rate}")
        for row in result["trials"]["new colours"]
    }
