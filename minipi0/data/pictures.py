"""One camera picture: from numpy, torch or PIL to the black square that a model sees.

Data sets and policies both come here, so that training and acting see the same. Shapes: H and W the
picture's height and width, S the side of the square.
"""

import numpy as np
import torch
from PIL import Image
from torch import Tensor


class NoColours(ValueError):
    """What was read well and is no colour picture of 8 bits: a depth map, for instance."""


def resize_with_pad(image, size: int) -> np.ndarray:
    """The whole picture in the middle of a black square, uint8[3, S, S], as openpi makes it.

    image: PIL; or numpy or torch of shape (H, W, 3) or (3, H, W), uint8 or floats from 0 to 1.
    Sides are rounded down and pixels are interpolated linearly, over all that a new pixel covers.
    Raises ValueError for another shape, dtype or range, and NoColours for a PIL image of more than
    8 bits a value: a depth map.
    """
    image = picture(image)
    if image.mode[0] in "IF":  # PIL would cut all above 255 off
        raise NoColours(
            f"an image of mode {image.mode}, more than 8 bits a value, which is a depth map and no "
            "colour picture: name the cameras= to see without it"
        )
    image = image.convert("RGB")
    sides = fit(*image.size, size)
    if image.size != sides:
        image = image.resize(sides, Image.Resampling.BILINEAR)
    return pad(np.asarray(image), size)


def fit(width: int, height: int, size: int) -> tuple[int, int]:
    """The width and height of a picture that is to fit into a square."""
    ratio = max(width, height) / size
    return max(1, int(width / ratio)), max(1, int(height / ratio))


def pad(pixels: np.ndarray, size: int) -> np.ndarray:
    """uint8[h, w, 3] -> uint8[3, S, S], black around it."""
    height, width = pixels.shape[:2]
    top, left = (size - height) // 2, (size - width) // 2
    square = np.zeros((3, size, size), np.uint8)
    square[:, top : top + height, left : left + width] = pixels.transpose(2, 0, 1)
    return square


def picture(value, what: str = "the picture") -> Image.Image:
    """A PIL image from numpy, torch or PIL.

    what: how messages call it. Raises ValueError for a wrong shape, dtype or range.
    """
    if isinstance(value, Image.Image):
        return value
    try:
        pixels = as_numpy(value)
        if pixels.dtype.kind in "USO":
            raise TypeError(f"they are {pixels.dtype}")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} cannot be read as numbers: {error}") from None
    if pixels.ndim == 3 and pixels.shape[0] == 3 != pixels.shape[2]:
        pixels = pixels.transpose(1, 2, 0)  # channels first, as torch and some robots have it
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"{what} has shape {pixels.shape}, expected (H, W, 3)")
    if pixels.dtype != np.uint8:
        if pixels.dtype.kind != "f":
            raise ValueError(f"{what} is {pixels.dtype}: give uint8, 0 to 255")
        if not np.isfinite(pixels).all():
            raise ValueError(f"{what} holds NaN or infinity")
        if pixels.min() < 0 or pixels.max() > 1:
            raise ValueError(
                f"{what} holds floats from {pixels.min():g} to {pixels.max():g}: "
                "give uint8, 0 to 255, or floats from 0 to 1"
            )
        pixels = (pixels * 255 + 0.5).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(pixels))


def as_numpy(value) -> np.ndarray:
    """An array of anything; torch's bfloat16, which numpy lacks, becomes float32."""
    if not isinstance(value, Tensor):
        return np.asarray(value)
    value = value.detach().cpu()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
