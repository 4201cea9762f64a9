"""Augmentation: the pictures of a batch as they might have been, openpi's recipe.

A camera on a stand is cropped to 95 % at a random place, resized back and turned by up to 5
degrees. Brightness, contrast and saturation change for every camera. A wrist camera keeps its
geometry: where the gripper is in its picture tells how to grasp.

All is drawn anew for every picture of every camera: one draw for a whole batch would be learned as
well as none.
Axes: B batch, C cameras.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

CROP, DEGREES = 0.95, 5.0
BRIGHTNESS, CONTRAST, SATURATION = 0.3, 0.4, 0.5  # factors 1 - x … 1 + x
DRAWS = 6  # numbers a picture: crop's place (2), angle, brightness, contrast, saturation
GREY = (0.299, 0.587, 0.114)  # how bright red, green and blue are to the eye


def draw(n: int, cameras: int, generator: torch.Generator | None = None) -> Tensor:
    """The random numbers for n items: float32[n, cameras, DRAWS], uniform in [-1, 1)."""
    return torch.rand(n, cameras, DRAWS, generator=generator) * 2 - 1


def apply(images: Tensor, draws: Tensor, still: list[bool] | None = None) -> Tensor:
    """Augmented pictures.

    images: float[B, C, 3, H, W] in [-1, 1]. draws: [B, C, DRAWS], from `draw`; zeros change nothing
        but the crop, which is then in the middle.
    still: per camera, True where crop and rotation are left out: a wrist camera.
    Returns the same shape in [-1, 1], black where a turned picture has no pixel.
    """
    b, c, _, height, width = images.shape
    draws = draws.to(images)
    flat, numbers = images.flatten(0, 1), draws.flatten(0, 1)  # (B * C, …)
    moved = _crop_and_turn(flat, numbers[:, :3])
    if still is not None and any(still):
        keep = torch.tensor(still, device=images.device).repeat(b)[:, None, None, None]
        moved = torch.where(keep, flat, moved)
    return _colours(moved, numbers[:, 3:]).unflatten(0, (b, c))


def wrists(cameras: list[str | None]) -> list[bool]:
    """Which cameras ride on a wrist, by their names, as in openpi."""
    return ["wrist" in (name or "") for name in cameras]


def _crop_and_turn(images: Tensor, draws: Tensor) -> Tensor:
    """One bilinear reading of every picture: first turned, then shifted, then shrunk by 5 %."""
    n, _, height, width = images.shape
    shift = (1 - CROP) * draws[:, :2]  # in half-widths: the crop stays inside the picture
    angle = draws[:, 2] * math.radians(DEGREES)
    cos, sin, ratio = angle.cos(), angle.sin(), height / width
    # where in the input an output pixel looks, in coordinates from -1 to 1
    rows = [
        torch.stack([CROP * cos, -CROP * sin * ratio, shift[:, 0]], dim=-1),
        torch.stack([CROP * sin / ratio, CROP * cos, shift[:, 1]], dim=-1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    # + 1: outside is black, which is -1
    return F.grid_sample(images + 1, grid, align_corners=False) - 1


def _colours(images: Tensor, draws: Tensor) -> Tensor:
    """Brightness, contrast and saturation, on values in [0, 1], one after another."""
    x = (images + 1) / 2
    wide = torch.tensor([BRIGHTNESS, CONTRAST, SATURATION]).to(images)
    brightness, contrast, saturation = (1 + wide * draws).T[..., None, None, None]
    grey = torch.tensor(GREY).to(images)[:, None, None]
    x = (x * brightness).clamp(0, 1)
    mean = (x * grey).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    x = (mean + (x - mean) * contrast).clamp(0, 1)
    own = (x * grey).sum(1, keepdim=True)
    x = (own + (x - own) * saturation).clamp(0, 1)
    return x * 2 - 1
