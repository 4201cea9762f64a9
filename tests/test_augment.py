"""openpi's augmentation: what it may change, by how much, and that every picture has its own."""

import math

import pytest
import torch

from minipi0.train import augment

N, C, SIDE = 6, 2, 40


@pytest.fixture
def images():
    """Smooth pictures, so that a bilinear reading is close to the truth."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, SIDE), torch.linspace(-1, 1, SIDE), indexing="ij")
    return torch.stack([x, y, (x + y) / 2]).expand(N, C, 3, SIDE, SIDE) * 0.8


def draws(**changes) -> torch.Tensor:
    """Draws that change only what is named."""
    names = ["right", "down", "angle", "brightness", "contrast", "saturation"]
    numbers = torch.zeros(N, C, augment.DRAWS)
    for name, value in changes.items():
        numbers[..., names.index(name)] = value
    return numbers


def test_every_picture_of_every_camera_has_its_own_draw(images):
    found = augment.apply(images, augment.draw(N, C, torch.Generator().manual_seed(0)))
    assert found.shape == images.shape and found.dtype == images.dtype
    flat = found.flatten(0, 1)
    apart = torch.cdist(flat.flatten(1), flat.flatten(1)) + torch.eye(N * C) * 1e3
    assert apart.min() > 1
    assert found.abs().max() <= 1 and found.isfinite().all()


def test_draws_are_repeatable_and_uniform():
    one, two = (augment.draw(4000, 1, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two) and one.min() >= -1 and one.max() < 1
    torch.testing.assert_close(one.var(dim=(0, 1)), torch.full((6,), 1 / 3), atol=0.02, rtol=0)


@pytest.mark.parametrize("side", [-1, 0, 1])
def test_the_crop_is_95_per_cent_and_inside(images, side):
    """A picture of its own coordinates tells where every pixel came from."""
    found = augment.apply(images, draws(right=side, down=-side))[0, 0] / 0.8
    x, y = found[0], found[1]
    inner = slice(1, -1)  # the outermost pixel looks at the picture's edge
    grid = torch.linspace(-1, 1, SIDE)[inner]
    torch.testing.assert_close(x[20, inner], 0.95 * grid + 0.05 * side, atol=0.01, rtol=0)
    torch.testing.assert_close(y[inner, 20], 0.95 * grid - 0.05 * side, atol=0.01, rtol=0)


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_turn_is_5_degrees_at_most(images, sign):
    x, y, _ = augment.apply(images, draws(angle=sign))[0, 0][:, 20] / 0.8  # a row of the middle
    inner = slice(8, 32)
    slope = (y[inner][-1] - y[inner][0]) / (x[inner][-1] - x[inner][0])
    assert math.degrees(math.atan(slope)) == pytest.approx(5 * sign, abs=0.3)


def test_a_turn_leaves_angles_right_in_wide_pictures():
    wide = torch.zeros(1, 1, 3, 40, 80)
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(80.0), indexing="ij")
    wide[0, 0, 0], wide[0, 0, 1] = (x - 39.5) / 50, (y - 19.5) / 50
    found = augment.apply(wide, draws(angle=1)[:1, :1])[0, 0]
    middle = found[:2, 20, 20:60]  # in pixels: both axes have one unit
    step = middle[:, -1] - middle[:, 0]
    assert math.degrees(math.atan2(step[1], step[0])) == pytest.approx(5, abs=0.3)
    assert step.norm() == pytest.approx(0.95 * 39 / 50, rel=0.02)


def test_a_wrist_camera_keeps_its_geometry(images):
    moved = draws(right=1, angle=1)
    found = augment.apply(images, moved, still=[False, True])
    torch.testing.assert_close(found[:, 1], images[:, 1])
    assert (found[:, 0] - images[:, 0]).abs().max() > 0.05
    assert augment.wrists(["top", "observation.images.left_wrist", None]) == [False, True, False]


def test_colours(images):
    half = torch.full_like(images, 0.0)  # grey 0.5
    still = [True, True]
    brighter = augment.apply(half, draws(brightness=1), still)
    torch.testing.assert_close(brighter, torch.full_like(half, 0.3))  # 0.5 * 1.3 = 0.65
    for name in ("contrast", "saturation"):
        torch.testing.assert_close(augment.apply(half, draws(**{name: 1}), still), half)
    less = augment.apply(images, draws(contrast=-1), still)
    assert less.std().item() == pytest.approx(0.6 * images.std().item(), rel=0.01)
    grey = augment.apply(images, draws(saturation=-1), still)
    spread, before = ((x.amax(2) - x.amin(2)).mean().item() for x in (grey, images))
    assert spread == pytest.approx(0.5 * before, rel=0.01)


def test_black_around_a_turned_picture():
    white = torch.ones(1, 1, 3, 40, 40)
    corner = augment.apply(white, draws(angle=1, right=1, down=1)[:1, :1])[0, 0, :, -1, -1]
    assert corner.max() < 1, "the corner looks beyond the picture, where it is black"
