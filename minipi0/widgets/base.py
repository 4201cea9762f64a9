"""What the widgets share in Python: a browser part put together from files, and checked traits."""

import json
import math
from pathlib import Path

import anywidget
import traitlets

from minipi0 import toys
from minipi0.plots import style
from minipi0.widgets.targets import TARGETS, for_browser

HERE = Path(__file__).parent
MOST_DOTS = 100  # that can be drawn in time
COLOUR = {name.lower(): c for name, c in vars(style).items() if isinstance(c, str) and c[0] == "#"}


def browser_code(*names: str) -> str:
    """dom.js and the named files as one JavaScript module (an anywidget's `_esm` is one text).

    Before them stand the colours and the extent of plots/style.py, and MOST_DOTS.
    """
    constants = {"COLOUR": COLOUR, "EXTENT": style.EXTENT, "MOST_DOTS": MOST_DOTS}
    parts = [f"const {name} = {json.dumps(value)};" for name, value in constants.items()]
    return "\n".join(
        parts + [(HERE / name).read_text(encoding="utf-8") for name in ("dom.js", *names)]
    )


def as_point(value, name: str) -> tuple[float, float]:
    """(x, y) from a list, tuple, array or tensor of two numbers.

    Raises TraitError for anything else, or outside the picture.
    """
    try:
        x, y = (float(v) for v in value)
    except (TypeError, ValueError):
        raise traitlets.TraitError(f"{name} must be two numbers (x, y), not {value!r}") from None
    limit = style.EXTENT
    if not (math.isfinite(x) and math.isfinite(y) and max(abs(x), abs(y)) <= limit):
        raise traitlets.TraitError(
            f"{name} is ({x:g}, {y:g}), outside the picture: both numbers must lie in "
            f"[-{limit}, {limit}]"
        )
    return x, y


class Point(traitlets.TraitType):
    """A pair of numbers within the picture, kept as a tuple (x, y)."""

    def validate(self, obj, value):
        return as_point(value, self.name)


class Points(traitlets.TraitType):
    """At most MOST_DOTS pairs of numbers within the picture, kept as a tuple of tuples."""

    def validate(self, obj, value):
        try:
            points = tuple(value)
        except TypeError:
            wrong = f"{self.name} must be a list of points (x, y), not {value!r}"
            raise traitlets.TraitError(wrong) from None
        if len(points) > MOST_DOTS:
            raise traitlets.TraitError(
                f"{self.name} holds {len(points)} points; at most {MOST_DOTS} can be drawn in time"
            )
        return tuple(as_point(point, f"{self.name}[{i}]") for i, point in enumerate(points))


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


class TargetName(traitlets.Unicode):
    """A name that the widget's `targets` has."""

    def validate(self, obj, value):
        if value not in obj.targets:
            names = ", ".join(obj.targets)
            raise traitlets.TraitError(f"{self.name} must be one of {names}, not {value!r}")
        return value


class Canvas(anywidget.AnyWidget):
    """A widget drawn in the browser by its own small .js file; every trait is Python's too."""

    _css = HERE / "widgets.css"

    def __repr__(self) -> str:  # what a page shows that cannot run it
        return (
            f"{type(self).__name__}: an interactive picture; run the notebook to use it. "
            "The figure beside it says the same."
        )


class TargetCanvas(Canvas):
    """A Canvas whose menu `target` offers what targets.TARGETS has, and nothing else."""

    targets = traitlets.Dict().tag(sync=True)
    target = TargetName().tag(sync=True)

    @traitlets.default("targets")
    def _table(self):
        return for_browser()

    @property
    def mixture(self) -> toys.GaussianMixture:
        """The current target."""
        return TARGETS[self.target].mixture
