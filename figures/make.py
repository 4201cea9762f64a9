"""Draw every picture of this folder anew:  python figures/make.py [NAME ...]

A line per picture: its name and the function that returns the figure. Names as arguments draw only
those.
"""

import sys
from pathlib import Path

import torch
from scribbles import scribbles

from minipi0 import toys
from minipi0.pi0 import block_mask
from minipi0.plots import flow_field, style, two_experts
from minipi0.plots.output import drawn, packed

PICTURES = {
    "straight_line": lambda: flow_field.straight_line((-2.0, -1.0), (1.5, 2.0), tau=0.4),
    "euler_steps": lambda: flow_field.euler_steps(toys.two_moons()),
    "noise_to_action": lambda: flow_field.noise_to_action(toys.ring()),
    "who_sees_whom": lambda: who_sees_whom(),
}


def who_sees_whom():
    """pi0's attention mask, with few enough tokens to see each."""
    groups = [
        *(("camera 1", 4, style.IMAGE), ("camera 2", 4, style.IMAGE), ("words", 5, style.TEXT)),
        *(("state", 1, style.STATE), ("actions", 6, style.ACTION)),
    ]
    starts = torch.tensor([0] * 13 + [1] + [1] + [0] * 5).bool()
    mask = block_mask(starts, torch.ones(1, 20, dtype=torch.bool))[0]
    return two_experts.masks({"who sees whom": mask}, groups)


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


FILES = {
    "ten_steps_and_one.webp": ten_steps_and_one,
    "scribbles.svg": lambda path: path.write_text(scribbles(), "utf-8"),
}

if __name__ == "__main__":
    for name in sys.argv[1:] or [*PICTURES, *FILES]:
        if name in FILES:
            path = Path(__file__).with_name(name)
            new = path.with_suffix(f".tmp{path.suffix}")
            FILES[name](new)
            new.replace(path)
            print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")
            continue
        path = Path(__file__).with_name(f"{name}.png")
        path.with_suffix(".tmp").write_bytes(packed(drawn(PICTURES[name]())))
        path.with_suffix(".tmp").replace(path)
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")
