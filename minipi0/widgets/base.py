"""What the widgets share on the Python side: a browser part put together from files, and traits
that say what is wrong.
"""

import json
import math
from pathlib import Path

import anywidget
import traitlets

from minipi0.plots import style

HERE = Path(__file__).parent
COLOUR = {
    "noise": style.NOISE,
    "data": style.DATA,
    "flow": style.FLOW,
    "oneStep": style.ONE_STEP,
    "path": style.PATH,
}
EXTENT = 3.4  # the widgets show the plane from -EXTENT to EXTENT


def browser_code(*names: str) -> str:
    """The colours of plots/style.py and the named files as one JavaScript module (an anywidget's
    `_esm` is one text).
    """
    return "\n".join(
        [
            f"const COLOUR = {json.dumps(COLOUR)};",
            *((HERE / name).read_text(encoding="utf-8") for name in names),
        ]
    )


def as_point(value, name: str = "a point") -> tuple[float, float]:
    """(x, y) from a list, tuple, array or tensor of two numbers.

    Raises TraitError for anything else, or outside the picture.
    """
    try:
        x, y = (float(v) for v in value)
    except (TypeError, ValueError):
        raise traitlets.TraitError(f"{name} must be two numbers (x, y), not {value!r}") from None
    if not (math.isfinite(x) and math.isfinite(y) and max(abs(x), abs(y)) <= EXTENT):
        raise traitlets.TraitError(
            f"{name} is ({x:g}, {y:g}), outside the picture: both numbers must lie in "
            f"[-{EXTENT}, {EXTENT}]"
        )
    return x, y


class Point(traitlets.TraitType):
    """A pair of numbers within the picture, kept as a tuple (x, y)."""

    def validate(self, obj, value):
        return as_point(value, self.name)


class Tau(traitlets.Float):
    """tau in [0, 1]: 0 is noise, 1 the action."""

    def validate(self, obj, value):
        try:
            value = float(value)  # a 0-d tensor will do
        except (TypeError, ValueError):
            self.error(obj, value)
        if not 0 <= value <= 1:
            raise traitlets.TraitError(
                f"tau must lie in [0, 1] (0 is noise, 1 the action), not {value:g}"
            )
        return value


class Canvas(anywidget.AnyWidget):
    """A widget drawn in the browser by its own small .js file; every trait can be read and set from
    Python.
    """

    _css = HERE / "widgets.css"

    def __repr__(self) -> str:  # what a page shows that cannot run it
        return (
            f"{type(self).__name__}: an interactive picture; run the notebook to use it. "
            "The figure beside it says the same."
        )


class Points(traitlets.TraitType):
    """At most 100 pairs of numbers within the picture, kept as a tuple of tuples."""

    def validate(self, obj, value):
        try:
            points = tuple(value)
        except TypeError:
            raise traitlets.TraitError(
                f"{self.name} must be a list of points (x, y), not {value!r}"
            ) from None
        if len(points) > 100:
            raise traitlets.TraitError(
                f"{self.name} holds {len(points)} points; at most 100 can be drawn in time"
            )
        return tuple(as_point(point, f"{self.name}[{i}]") for i, point in enumerate(points))
