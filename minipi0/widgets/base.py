"""What the widgets share in Python: a browser part put together from files, and checked traits."""

import json
import math
import zlib
from base64 import b64encode
from html import escape
from pathlib import Path

import anywidget
import traitlets
from IPython.display import display

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

    def __repr__(self) -> str:  # what a page shows that cannot run it, and a plain console
        return (
            f"{type(self).__name__}: an interactive picture; run the notebook to use it. "
            "The figure beside it says the same."
        )

    def standalone(self) -> str:
        """HTML that draws this widget as it is now, on any page, without kernel and network.

        Returns the text of `repr` in a <div>, for pages that run no script, and a <script> that
        puts the widget in its place. The script carries the widget's module, style and state.
        """
        ours = (n for n in self.keys if n[0] != "_" and n not in ("layout", "tabbable", "tooltip"))
        state = {name: getattr(self, name) for name in ours}
        whole = {"esm": self._esm, "css": str(self._css), "state": state}
        text = json.dumps(whole, default=lambda value: {"bytes": b64encode(value).decode()})
        packed = b64encode(zlib.compress(text.encode(), 9)).decode()
        code = (HERE / "alone.js").read_text(encoding="utf-8").replace("PACKED", packed)
        lines = escape(repr(self)).replace("\n", "<br>")
        return f'<div class="m0-alone"><p>{lines}</p></div>\n<script>{code}</script>'

    def _ipython_display_(self) -> None:
        """Show the widget, and below it what takes its place where no kernel runs.

        The second is hidden while the first lives; a stored notebook keeps it.
        """
        live, about = self._repr_mimebundle_()
        # notebooks/refresh.py stores no text that says Widget: the second output has the text
        live["text/plain"] = f"Widget {type(self).__name__}"
        display(live, metadata=about, raw=True)
        display({"text/html": self.standalone(), "text/plain": repr(self)}, raw=True)


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
