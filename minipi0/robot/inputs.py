"""What a robot sends: one dict, whatever style its keys have; pictures from numpy, torch or PIL.

plain       {"front": picture, "state": numbers, "prompt": text}
openpi      {"observation/image": …, "observation/state": …}, {"images": {"front": …}, …}
LeRobot     {"observation.images.front": …, "observation.state": …, "task": text}
"""

import numpy as np
from PIL import Image

from minipi0.data import pictures

# parts of keys that only wrap what has a name of its own
WRAPPERS = {"observation", "observations", "images"}


def short(key: str) -> str:
    """A key without the parts that only wrap it: "observation.images.front" is "front"."""
    parts = key.replace("/", ".").split(".")
    while len(parts) > 1 and parts[0] in WRAPPERS:
        parts.pop(0)
    return ".".join(parts)


def flatten(observation: dict) -> dict:
    """{short key: value} of a dict, nested or not. Raises ValueError where two keys collide."""
    if not isinstance(observation, dict):
        raise ValueError(f"an observation is a dict, not a {type(observation).__name__}")
    found, came_from = {}, {}

    def collect(part: dict, before: str) -> None:
        for key, value in part.items():
            key = f"{before}{key}"
            if isinstance(value, dict):
                collect(value, f"{key}.")
            elif (name := short(key)) in found:
                raise ValueError(f"{came_from[name]!r} and {key!r} both mean {name!r}: give one")
            else:
                found[name], came_from[name] = value, key

    collect(observation, "")
    return found


def picture(name: str, value) -> Image.Image:
    """A PIL image from numpy, torch or PIL. Raises ValueError for a wrong shape, dtype or range."""
    return pictures.picture(value, f"the picture of {name!r}")


def vector(name: str, value) -> np.ndarray:
    """Numbers as float32, whatever their shape. Raises ValueError for what is no real numbers."""
    try:
        numbers = pictures.as_numpy(value)
        if numbers.dtype.kind not in "biuf":
            raise TypeError(f"they are {numbers.dtype}")
    except (TypeError, ValueError) as error:
        raise ValueError(f"the {name} cannot be read as numbers: {error}") from None
    with np.errstate(over="ignore"):  # what is too large becomes infinity, and is told as such
        return numbers.astype(np.float32)
