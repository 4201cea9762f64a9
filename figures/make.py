"""Draw every picture of this folder anew:  python figures/make.py [NAME ...]

A line per picture: its name and the function that returns the figure. Names as arguments draw only those.
"""

import sys
from pathlib import Path

from minipi0.plots import flow_field

PICTURES = {
    "straight_line": lambda: flow_field.straight_line((-2.0, -1.0), (1.5, 2.0), tau=0.4),
}

if __name__ == "__main__":
    for name in sys.argv[1:] or PICTURES:
        path = Path(__file__).with_name(f"{name}.png")
        PICTURES[name]().savefig(path, dpi=130)
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")
