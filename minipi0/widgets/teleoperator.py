"""The arm in the reader's hands: keys drive it, successes become demonstrations (notebook 13)."""

import io
from collections.abc import Callable

import traitlets
from PIL import Image

from minipi0.data.writer import Episode
from minipi0.robot.teleoperate import GRIPPER, MOVES, Teleoperation
from minipi0.widgets.base import Canvas, browser_code

KEYS = {  # key -> what stands on its button
    **{"ArrowLeft": "←", "ArrowRight": "→", "ArrowUp": "↑ ahead", "ArrowDown": "↓ back"},
    **{"w": "W up", "s": "S down", GRIPPER: "Space: gripper"},
}


class Teleoperator(Canvas):
    """Begin a scene, hold keys (or buttons) to move the hand; a success is kept.

    `w = Teleoperator(make)`, where make() is a gymnasium environment of `minipi0.robot`; then
    `w.episodes`, for `data.writer.write`. Time stands still while no key is held.
    """

    _esm = browser_code("canvas.js", "teleoperator.js")
    buttons = traitlets.Dict(KEYS).tag(sync=True)
    line = traitlets.Unicode("No arm moves yet.").tag(sync=True)

    def __init__(self, make: Callable, **options):
        """make: see above. options: size=, seed=, as of `Teleoperation`."""
        super().__init__()
        self.arm = Teleoperation(make, self._show, **options)
        self.on_msg(lambda _, content, __: self._asked(content))

    @property
    def episodes(self) -> list[Episode]:
        """The demonstrations so far."""
        return self.arm.episodes

    def close(self) -> None:
        """End the thread, and the widget. The episodes stay."""
        if hasattr(self, "arm"):
            self.arm.close()
        super().close()

    def _asked(self, content: dict) -> None:
        """A message of the page: a new scene, or the keys that are held now."""
        if content.get("kind") == "begin":
            self.arm.begin()
        elif content.get("kind") == "keys":
            self.arm.press({*content.get("keys", [])} & {*MOVES, GRIPPER})

    def _show(self, picture, said: str) -> None:
        self.line = said
        if picture is not None:
            jpeg = io.BytesIO()
            Image.fromarray(picture).save(jpeg, "JPEG", quality=80)
            self.send({"kind": "picture"}, [jpeg.getvalue()])
