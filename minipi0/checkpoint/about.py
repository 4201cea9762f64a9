"""What a checkpoint says of the data it was trained on: cameras, names, rate, tokenizer, …

Own files hold a dict of plain values, see `ActionChunks.about`. LeRobot's files are read into the
same words by `lerobot.about`.
"""

import itertools
import json

from minipi0.checkpoint import statistics

COMPARED = (
    *("cameras", "state_names", "action_names", "fps", "horizon"),
    *("tokenizer", "normalise", "relative_actions"),
)


def checked(about: dict | None) -> dict:
    """{"about": about} for a file's metadata. Raises ValueError for what JSON cannot hold."""
    try:
        return {"about": json.loads(json.dumps(about))} if about else {}
    except TypeError as error:
        raise ValueError(f"about must hold plain values (text, numbers, lists): {error}") from None


def of_data_set(about: dict, name: str | None) -> tuple[dict, dict | None]:
    """What is said of one data set of a mixture, and its statistics (None: of the whole model).

    name: of the data set, or a part of it that only one has.
    Raises ValueError for an unknown name, and where one is needed and none is given.
    """
    mixed = about.get("data_sets")
    if not mixed:
        if name is not None:
            raise ValueError(f"the model was not trained on several data sets: not on {name!r}")
        return about, None
    names = [one.get("data") or "" for one in mixed]
    chosen = [one for one, its in zip(mixed, names, strict=True) if name and name in its]
    chosen = [one for one in chosen if one.get("data") == name] or chosen
    if len(chosen) != 1:
        asked = "choose one with data_set=" if name is None else f"{name!r} is not one of them"
        raise ValueError(f"the model was trained on several data sets, {names}: {asked}")
    return about | chosen[0], statistics.noted(chosen[0]["stats"], chosen[0]["data"])


def differences(then: dict | None, now: dict | None) -> dict[str, str]:
    """{"fps": "10 then, 30 now", …}: where two data sets contradict each other.

    then, now: as `ActionChunks.about`. What one of them does not say is no difference, but for
    relative actions: without a word, actions are absolute. Of mixtures, the two data sets that
    differ least are compared.
    """
    if not then or not now:
        return {}
    pairs = itertools.product(*([x | y for y in x.get("data_sets") or [{}]] for x in (then, now)))
    return min((_between(*pair) for pair in pairs), key=len)


def _between(then: dict, now: dict) -> dict[str, str]:
    found = {}
    for name in COMPARED:
        said = [_plain(name, about.get(name)) for about in (then, now)]
        if said[0] != said[1] and (None not in said or name == "relative_actions"):
            found[name] = f"{then.get(name)} then, {now.get(name)} now"
    return found


def _plain(name: str, value):
    """What counts of an entry: a camera's name without "observation.images.", and the like."""
    if name == "cameras" and value is not None:
        return [camera and camera.rsplit(".", 1)[-1] for camera in value]
    if name == "tokenizer" and value is not None:
        return "paligemma" if "paligemma" in value else value
    if name == "relative_actions":
        return [i for i, relative in enumerate(value or []) if relative]
    return value
