"""What a robot sends: one dict, whatever style its keys have; pictures from numpy, torch or PIL.

plain       {"front": picture, "state": numbers, "prompt": text}
openpi      {"observation/image": …, "observation/state": …}, {"images": {"front": …}, …}
LeRobot     {"observation.images.front": …, "observation.state": …, "task": text}
"""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

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
    if isinstance(value, Image.Image):
        return value
    try:
        pixels = _numpy(value)
        if pixels.dtype.kind in "USO":
            raise TypeError(f"they are {pixels.dtype}")
    except (TypeError, ValueError) as error:
        raise ValueError(f"the picture of {name!r} cannot be read as numbers: {error}") from None
    if pixels.ndim == 3 and pixels.shape[0] == 3 != pixels.shape[2]:
        pixels = pixels.transpose(1, 2, 0)  # channels first, as torch and some robots have it
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"the picture of {name!r} has shape {pixels.shape}, expected (H, W, 3)")
    if pixels.dtype != np.uint8:
        if pixels.dtype.kind != "f":
            raise ValueError(f"the picture of {name!r} is {pixels.dtype}: give uint8, 0 to 255")
        if not np.isfinite(pixels).all():
            raise ValueError(f"the picture of {name!r} holds NaN or infinity")
        if pixels.min() < 0 or pixels.max() > 1:
            raise ValueError(
                f"the picture of {name!r} holds floats from {pixels.min():g} to {pixels.max():g}: "
                "give uint8, 0 to 255, or floats from 0 to 1"
            )
        pixels = (pixels * 255 + 0.5).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(pixels))


def vector(name: str, value) -> np.ndarray:
    """Numbers as float32, whatever their shape. Raises ValueError for what is no real numbers."""
    try:
        numbers = _numpy(value)
        if numbers.dtype.kind not in "biuf":
            raise TypeError(f"they are {numbers.dtype}")
    except (TypeError, ValueError) as error:
        raise ValueError(f"the {name} cannot be read as numbers: {error}") from None
    with np.errstate(over="ignore"):  # what is too large becomes infinity, and is told as such
        return numbers.astype(np.float32)


def _numpy(value) -> np.ndarray:
    """An array of anything; torch's bfloat16, which numpy lacks, becomes float32."""
    if not isinstance(value, Tensor):
        return np.asarray(value)
    value = value.detach().cpu()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
