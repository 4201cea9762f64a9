"""Recorded episodes to scrub through: camera frame, state and action curves, instruction."""

import io

import numpy as np
import traitlets
from PIL import Image

from minipi0.widgets.base import Canvas, browser_code

WIDEST = 1 << 14  # pixels: what browsers decode


class EpisodePlayer(Canvas):
    """Play an episode of a data set, or scrub through it.

    `w = EpisodePlayer(data.load("cr5-banana", horizon=16))`; `w.episode = 7; w.frame = 40`.
    Starts paused. While it plays, Python sees the frame at which it started; the new one when it
    stops. The shaded part of the curves is the action chunk of the frame shown.

    Traits, to read and to set: episode (an index of the data set), camera (one of its cameras, ""
    where it has none), frame (from 0), playing.
    Raises traitlets.TraitError for other values.
    """

    _esm = browser_code("canvas.js", "episode_player.js")
    episode = traitlets.Int(0).tag(sync=True)
    camera = traitlets.Unicode("").tag(sync=True)
    frame = traitlets.Int(0, min=0).tag(sync=True)
    playing = traitlets.Bool(False).tag(sync=True)
    # what the browser draws: the data set's part, then the episode's
    episodes = traitlets.List(traitlets.Int()).tag(sync=True)
    cameras = traitlets.List(traitlets.Unicode()).tag(sync=True)
    fps = traitlets.Float(10.0).tag(sync=True)
    horizon = traitlets.Int(1).tag(sync=True)
    curves = traitlets.List().tag(sync=True)  # [{title, names, low, high}, …], in this order
    length = traitlets.Int(1).tag(sync=True)
    instruction = traitlets.Unicode("").tag(sync=True)
    values = traitlets.Bytes(b"").tag(sync=True)  # float32[length, all dims of all curves]
    sheet = traitlets.Bytes(b"").tag(sync=True)  # a JPEG of all frames, `columns` in a row
    columns = traitlets.Int(1).tag(sync=True)
    size = traitlets.Int(64).tag(sync=True)

    def __init__(self, items, episode: int | None = None, camera: str = "", **traits):
        """items: an ActionChunks, as `data.load` makes it; episode: by default its first."""
        self.items = items
        curves = []
        for title, values, names in (
            ("state", items.state, items.state_names),
            ("action", items.actions, items.action_names),
        ):
            low, high = values.min(0).values.tolist(), values.max(0).values.tolist()
            curves.append({"title": title, "names": list(names), "low": low, "high": high})
        traits |= {"curves": curves, "fps": float(items.fps), "horizon": items.horizon}
        traits |= {"episodes": list(items.episodes), "cameras": list(items.cameras)}
        start = items.episodes[0] if episode is None else episode
        first = camera or (items.cameras[0] if items.cameras else "")
        super().__init__(episode=start, camera=first, **traits)
        self._show()
        self.observe(lambda change: self._show(), ["episode", "camera"])

    def _show(self) -> None:
        """Hand the browser the numbers and frames of the current episode."""
        rows = (self.items.episode_index == self.episode).nonzero().flatten()
        values = np.hstack([self.items.state[rows], self.items.actions[rows]])
        sheet, columns, size = b"", 1, self.size
        if self.camera:
            pictures = self.items.pictures[self.cameras.index(self.camera)]
            size = pictures.shape[-1]
            sheet, columns = contact_sheet(pictures[self.items.rows[rows.numpy()]])
        with self.hold_sync():
            self.length, self.frame = len(rows), min(self.frame, len(rows) - 1)
            self.instruction = self.items.tasks[rows[0]]
            self.values = values.astype(np.float32).tobytes()
            self.sheet, self.columns, self.size = sheet, columns, size

    @traitlets.validate("episode")
    def _known_episode(self, proposal):
        if proposal["value"] not in self.items.episodes:
            some = ", ".join(map(str, self.items.episodes[:8]))
            raise traitlets.TraitError(f"episode {proposal['value']} is none of {some}, …")
        return proposal["value"]

    @traitlets.validate("camera")
    def _known_camera(self, proposal):
        if proposal["value"] not in (self.items.cameras or [""]):
            raise traitlets.TraitError(
                f"camera {proposal['value']!r} is none of {', '.join(self.items.cameras)}"
            )
        return proposal["value"]

    @traitlets.validate("frame")
    def _known_frame(self, proposal):
        if proposal["value"] >= max(self.length, 1) and self.values:
            raise traitlets.TraitError(
                f"frame {proposal['value']}: the episode's last frame is {self.length - 1}"
            )
        return proposal["value"]


def contact_sheet(pictures: np.ndarray) -> tuple[bytes, int]:
    """All frames as one JPEG, row by row. pictures: uint8[T, 3, S, S]. Returns (bytes, columns).

    Raises ValueError where a browser could not decode it.
    """
    count, _, _, size = pictures.shape
    columns = int(np.ceil(count**0.5))
    if columns * size > WIDEST:
        raise ValueError(f"{count} frames of {size} pixels are too many to show: load fewer pixels")
    rows = -(-count // columns)
    sheet = np.zeros((rows * columns, 3, size, size), np.uint8)
    sheet[:count] = pictures
    sheet = sheet.reshape(rows, columns, 3, size, size).transpose(0, 3, 1, 4, 2)
    image = Image.fromarray(np.ascontiguousarray(sheet).reshape(rows * size, columns * size, 3))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85)
    return stream.getvalue(), columns
