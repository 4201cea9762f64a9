"""What a checkpoint says of the data it was trained on: cameras, names, rate, tokenizer, …

Own files hold a dict of plain values, see `ActionChunks.about`. LeRobot's files are read into the
same words by `lerobot.about`.
"""

import json

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


def differences(then: dict | None, now: dict | None) -> dict[str, str]:
    """{"fps": "10 then, 30 now", …}: where two data sets contradict each other.

    then, now: as `ActionChunks.about`. What one of them does not say is no difference, but for
    relative actions: without a word, actions are absolute.
    """
    found = {}
    for name in COMPARED if then and now else ():
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
