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

PICTURES = {
    "straight_line": lambda: flow_field.straight_line((-2.0, -1.0), (1.5, 2.0), tau=0.4),
    "flow_field": lambda: flow_field.flow_field(toys.ring()),
    "euler_steps": lambda: flow_field.euler_steps(toys.two_moons()),
    "noise_to_action": lambda: flow_field.noise_to_action(toys.ring()),
}

if __name__ == "__main__":
    for name in sys.argv[1:] or PICTURES:
        path = Path(__file__).with_name(f"{name}.png")
        buffer = io.BytesIO()
        PICTURES[name]().savefig(buffer, dpi=130)
        small = (
            Image.open(buffer)
            .convert("RGB")
            .quantize(192, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        )
        small.save(path.with_suffix(".tmp"), "PNG", optimize=True)
        path.with_suffix(".tmp").replace(path)
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")
