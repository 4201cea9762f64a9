"""resize_with_pad gives openpi's pixels, whatever holds the picture; a video nearly the same."""

import av
import numpy as np
import pytest
import torch
from PIL import Image

from minipi0.data import decoders
from minipi0.data.pictures import resize_with_pad


def source(height: int, width: int) -> np.ndarray:
    """A picture that every library makes alike, uint8[H, W, 3]: slopes, squares and a grain."""
    y, x, c = np.mgrid[0:height, 0:width, 0:3]
    squares = (x // 5 + y // 3) % 2 * 70
    return ((x * 255 // max(width - 1, 1) + 17 * c + squares + x * y % 23) % 256).astype(np.uint8)


# (height, width, side): first and last row, first and last column that are not black, and of colour
# 0 in the first such row, 1 in the middle one and 2 in the last, nine values from left to right.
# Recorded from openpi's image_tools.resize_with_pad (bilinear), commit 05a5e53f.
OPENPI = {
    (480, 848, 224): (
        (49, 174, 0, 223),
        [24, 88, 100, 144, 178, 215, 123, 137, 64],
        [53, 102, 123, 159, 195, 148, 135, 119, 65],
        [94, 100, 153, 174, 202, 137, 126, 50, 71],
    ),
    (240, 424, 224): (
        (49, 174, 0, 223),
        [1, 43, 141, 143, 131, 174, 13, 136, 121],
        [29, 74, 153, 162, 162, 159, 59, 144, 37],
        [109, 139, 110, 173, 244, 42, 235, 72, 112],
    ),
    (480, 640, 224): (
        (28, 195, 0, 223),
        [9, 54, 84, 119, 152, 222, 51, 79, 70],
        [41, 79, 107, 144, 172, 144, 84, 82, 82],
        [107, 134, 161, 197, 225, 168, 198, 27, 49],
    ),
    (128, 128, 224): (
        (0, 223, 0, 223),
        [0, 102, 64, 166, 128, 213, 4, 222, 69],
        [87, 62, 156, 127, 219, 163, 214, 69, 27],
        [34, 146, 111, 203, 173, 54, 49, 19, 109],
    ),
    (37, 100, 64): (
        (20, 42, 0, 63),
        [1, 37, 127, 173, 139, 163, 170, 43, 70],
        [32, 69, 154, 185, 168, 167, 181, 82, 89],
        [69, 108, 146, 185, 203, 125, 154, 52, 87],
    ),
    (720, 1280, 96): (
        (21, 74, 0, 95),
        [46, 78, 110, 142, 173, 203, 107, 139, 58],
        [63, 95, 127, 159, 190, 155, 124, 133, 59],
        [80, 111, 143, 175, 206, 108, 140, 53, 76],
    ),
    (300, 200, 224): (
        (0, 223, 37, 185),
        [0, 0, 104, 86, 132, 190, 115, 0, 0],
        [0, 0, 123, 117, 163, 33, 66, 0, 0],
        [0, 0, 73, 187, 237, 209, 32, 0, 0],
    ),
    (96, 96, 224): (
        (0, 223, 0, 223),
        [0, 31, 63, 165, 197, 209, 191, 223, 69],
        [37, 76, 102, 168, 197, 202, 158, 194, 71],
        [104, 147, 169, 144, 167, 157, 46, 91, 42],
    ),
}


@pytest.mark.parametrize("sides", OPENPI)
def test_the_pixels_are_openpis(sides):
    height, width, size = sides
    (top, bottom, left, right), *recorded = OPENPI[sides]
    square = resize_with_pad(source(height, width), size)
    rows, columns = np.flatnonzero(square.any((0, 2))), np.flatnonzero(square.any((0, 1)))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (top, bottom, left, right)
    at = np.linspace(0, size - 1, 9).round().astype(int)
    for colour, row, values in zip(range(3), (top, size // 2, bottom), recorded, strict=True):
        assert np.abs(square[colour, row, at].astype(int) - values).max() <= 1


def test_a_picture_of_the_right_size_stays_as_it_is():
    assert np.array_equal(resize_with_pad(source(64, 64), 64), source(64, 64).transpose(2, 0, 1))


@pytest.mark.parametrize(
    "other",
    [
        Image.fromarray,
        torch.from_numpy,
        lambda pixels: pixels.transpose(2, 0, 1),
        lambda pixels: torch.from_numpy(pixels).permute(2, 0, 1),
        lambda pixels: pixels / 255,
        lambda pixels: torch.from_numpy(pixels).permute(2, 0, 1).float() / 255,
        lambda pixels: pixels[::-1][::-1],
    ],
)
def test_numpy_torch_and_pil_are_the_same_picture(other):
    pixels = source(48, 64)
    assert np.array_equal(resize_with_pad(other(pixels), 32), resize_with_pad(pixels, 32))


@pytest.mark.parametrize(
    "wrong, said",
    [
        (np.zeros((48, 64), np.uint8), r"the picture has shape \(48, 64\), expected \(H, W, 3\)"),
        (np.zeros((48, 64, 3), np.uint16), "the picture is uint16: give uint8"),
        (torch.full((3, 48, 64), 255.0), "floats from 255 to 255: give uint8, 0 to 255, or floats"),
        (torch.full((3, 48, 64), float("nan")), "holds NaN or infinity"),
        (Image.new("I;16", (64, 48)), "more than 8 bits a value, which is a depth map"),
        ("a.png", "cannot be read as numbers"),
    ],
)
def test_what_is_no_picture_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        resize_with_pad(wrong, 32)


@pytest.mark.parametrize("height, width, size", [(240, 424, 64), (96, 96, 224), (48, 64, 64)])
def test_a_video_gives_the_same_pixels_as_a_picture(tmp_path, height, width, size):
    """Training sees what acting does. (In grey, since the colours of a video are coarser.)"""
    y, x = np.mgrid[0:height, 0:width]
    grey = (40 + x * 150 // width + (x // 8 + y // 8) % 2 * 40).astype(np.uint8)
    pixels = np.repeat(grey[..., None], 3, axis=2)
    with av.open(str(tmp_path / "v.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=10, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(stream.encode())
    ((square, _),) = decoders.video(tmp_path / "v.mp4", size, threads=1)
    difference = np.abs(square.astype(int) - resize_with_pad(pixels, size))
    assert difference.mean() < 1.5 and difference.max() <= 6
