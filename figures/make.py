"""Draw every picture of this folder anew:  python figures/make.py [NAME ...]

A line per picture: its name and the function that returns the figure. Names as arguments draw only
those.
"""

import io
import sys
from pathlib import Path

from PIL import Image

from minipi0 import toys
from minipi0.plots import flow_field
from minipi0.plots.output import packed

PICTURES = {
    "straight_line": lambda: flow_field.straight_line((-2.0, -1.0), (1.5, 2.0), tau=0.4),
    "flow_field": lambda: flow_field.flow_field(toys.ring()),
    "euler_steps": lambda: flow_field.euler_steps(toys.two_moons()),
    "noise_to_action": lambda: flow_field.noise_to_action(toys.ring()),
}

STARTS = range(4)  # of the moving picture; not chosen


def ten_steps_and_one(path: Path) -> None:
    """The README's moving picture: one policy at the wall, with ten Euler steps and with one."""
    from minipi0.plots.meet_the_robot import side_by_side
    from minipi0.robot.scenes import ONE_STEP, TEN_STEPS, wall
    from minipi0.robot.watch import Settings, watch

    scenes, kinds = wall(), {"ten Euler steps": TEN_STEPS, "one Euler step": ONE_STEP}
    trials = [
        {
            name: watch(scenes, Settings("the wall", seed=seed, **kind))
            for name, kind in kinds.items()
        }
        for seed in STARTS
    ]
    first, *rest = side_by_side(trials)
    first.save(path, save_all=True, append_images=rest, duration=100, loop=0, quality=55, method=6)


FILMS = {"ten_steps_and_one": ten_steps_and_one}

if __name__ == "__main__":
    for name in sys.argv[1:] or [*PICTURES, *FILMS]:
        if name in FILMS:
            path = Path(__file__).with_name(f"{name}.webp")
            FILMS[name](path.with_suffix(".tmp.webp"))
            path.with_suffix(".tmp.webp").replace(path)
            print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")
            continue
        path = Path(__file__).with_name(f"{name}.png")
        buffer = io.BytesIO()
        PICTURES[name]().savefig(buffer, dpi=144)
        path.with_suffix(".tmp").write_bytes(packed(Image.open(buffer)))
        path.with_suffix(".tmp").replace(path)
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")
