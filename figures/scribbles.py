"""The README's moving drawing: scribbles of noise become paths around an obstacle.

The velocity is exact: that of the mixture of demonstrated chunks, a Gaussian around each.
"""

import torch

from minipi0 import flow, toys
from minipi0.plots import style

CHUNKS = 20
WIDTH, HEIGHT, SCALE = 760, 420, 150  # pixels; pixels of one unit of the plane
MIDDLE = (380, 196)
FLOOR = 392  # the chunks' part of the height; below it stands the bar
FADE = 70  # pixels in which noise fades at the picture's edges
STILL, MOVING = 1.2, 4.8  # seconds: at either end, and on the way
FRAMES = 20  # drawn moments of the way; between them the browser interpolates


def paths(n: int = CHUNKS, seed: int = 0) -> torch.Tensor:
    """Chunks on their way from noise to actions, float64[FRAMES + 1, n, 16, 2]; noise first."""
    generator = torch.Generator().manual_seed(seed)
    shown = toys.obstacle.demonstrations(400, generator).double().flatten(1)  # (400, 32)
    field = toys.GaussianMixture(shown, std=0.02)
    noise = torch.randn(n, 32, generator=generator, dtype=torch.float64)
    way = flow.euler(field.velocity, noise, 5 * FRAMES, path=True)[::5]
    return way.unflatten(2, (16, 2))


def scribbles() -> str:
    """The drawing as an SVG that moves without a script (SMIL)."""
    way = paths()
    hits = int(toys.obstacle.collides(way[-1]).sum())
    whole = MOVING + 2 * STILL
    start, step = STILL / whole, MOVING / whole / FRAMES
    times = [0.0, *(start + i * step for i in range(FRAMES + 1)), 1.0]
    key = ";".join(f"{t:.3f}".rstrip("0").rstrip(".") for t in times)
    moves = f'dur="{whole:g}s" repeatCount="indefinite" keyTimes="{key}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{CHUNKS} chunks of noise become {CHUNKS} paths around a disc, on both sides of it;"
        f" {hits} of them touch it</title>",
        f"<defs>{_fading('x', WIDTH)}{_fading('y', FLOOR)}</defs>",
        f'<circle cx="{MIDDLE[0]}" cy="{MIDDLE[1]}" r="{SCALE * toys.obstacle.radius:g}"'
        f' fill="{style.INK}" fill-opacity=".25" stroke="{style.INK}"/>',
        '<g mask="url(#fade-x)"><g mask="url(#fade-y)" fill="none" stroke-width="1.6"'
        f' stroke-linejoin="round" stroke="{style.FLOW}">',
        f'<animate attributeName="stroke" {moves} values="{_colours()}"/>',
    ]
    for chunk in way.permute(1, 0, 2, 3):  # (FRAMES + 1, 16, 2)
        drawn = [_line(points) for points in chunk]
        values = ";".join([drawn[0], *drawn, drawn[-1]])
        parts.append(
            f'<path d="{drawn[-1]}"><animate attributeName="d" {moves} values="{values}"/></path>'
        )
    bar = ";".join(f"{300 * min(1, max(0, i)):g}" for i in [0, *_shares(), 1])
    track = 'x="230" y="402" height="6" rx="3"'
    text = f'font-family="system-ui,sans-serif" font-size="24" fill="{style.INK}"'
    parts += [
        "</g></g>",
        f'<rect {track} width="300" fill="{style.INK}" fill-opacity=".3"/>',
        f'<rect {track} width="300" fill="{style.FLOW}">'
        f'<animate attributeName="width" {moves} values="{bar}"/></rect>',
        f'<text x="220" y="411" text-anchor="end" {text}>τ = 0, noise</text>',
        f'<text x="540" y="411" {text}>τ = 1, actions</text></svg>',
    ]
    return "\n".join(parts)


def _fading(axis: str, length: int) -> str:
    """A mask in which what comes near either end of an axis, "x" or "y", fades."""
    stops = "".join(
        f'<stop offset="{at:.3f}" stop-color="{colour}"/>'
        for at, colour in [
            (0, "#000"),
            (FADE / length, "#fff"),
            (1 - FADE / length, "#fff"),
            (1, "#000"),
        ]
    )
    whole = f'width="{WIDTH}" height="{FLOOR}"'
    return (
        f'<linearGradient id="ramp-{axis}" x2="{int(axis == "x")}" y2="{int(axis == "y")}">{stops}'
        f'</linearGradient><mask id="fade-{axis}" maskUnits="userSpaceOnUse" x="0" y="0" {whole}>'
        f'<rect {whole} fill="url(#ramp-{axis})"/></mask>'
    )


def _line(points: torch.Tensor) -> str:
    """Way-points float[16, 2] as an SVG path of whole pixels."""
    x, y = MIDDLE[0] + SCALE * points[:, 0], MIDDLE[1] - SCALE * points[:, 1]
    here = torch.stack([x, y], 1).round().long()
    moves = here.diff(dim=0).tolist()
    return f"M{here[0, 0]} {here[0, 1]}l" + " ".join(f"{a} {b}" for a, b in moves).replace(
        " -", "-"
    )


def _shares() -> list[float]:
    return [i / FRAMES for i in range(FRAMES + 1)]


def _colours() -> str:
    """From noise to flow, in the chunks' key times."""
    a, b = (
        torch.tensor([int(c[i : i + 2], 16) for i in (1, 3, 5)]) for c in (style.NOISE, style.FLOW)
    )
    mixed = [(a + (b - a) * s).round().int().tolist() for s in [0, *_shares(), 1]]
    return ";".join("#{:02x}{:02x}{:02x}".format(*c) for c in mixed)
