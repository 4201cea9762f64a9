"""Recorded episodes, for pages without a kernel and machines without OpenGL.

Each is a small video, and what goes with it:

    recorded/NAME.webm   the reader's pictures, 10 a second
    recorded/NAME.json   {"title", "line", "frames", "fans": [{"frame", "fan", "chosen"}, …]}

A fan is a list of paths, a path a list of [column, row] in thousandths of the picture.
"""

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import numpy as np

from minipi0.checkpoint import write_atomically
from minipi0.robot.simulator import FPS
from minipi0.robot.watch import Moment, Settings

FOLDER = Path(__file__).parent / "recorded"


@dataclass(frozen=True)
class Recording:
    """A recorded episode.

    title: what was played. line: how it ended. frames: how many pictures.
    fans: as in the file, each from its frame on.
    video: a WebM file's bytes.
    """

    title: str
    line: str
    frames: int
    fans: list[dict]
    video: bytes

    def pictures(self) -> np.ndarray:
        """Its frames, uint8[T, S, S, 3]."""
        with av.open(io.BytesIO(self.video)) as container:
            return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])

    def moments(self) -> list[Moment]:
        """The episode again, as `watch` returns it, but for what the environment told."""
        fan, chosen, found = np.zeros((0, 1, 2)), np.zeros((0, 2)), []
        asked = {one["frame"]: one for one in self.fans}
        for frame, picture in enumerate(self.pictures()):
            if frame in asked:
                fan, chosen = (np.array(asked[frame][name]) / 1000 for name in ("fan", "chosen"))
            over = frame == self.frames - 1
            found.append(Moment(picture, frame, self.frames - 1, fan, chosen, {}, over))
        return found

    def for_browser(self) -> dict:
        """As the page gets it."""
        return asdict(self)


def load(folder: Path = FOLDER) -> list[Recording]:
    """All recordings of a folder, by name; none where there is no folder."""
    return [
        Recording(
            **json.loads(path.read_text("utf-8")), video=path.with_suffix(".webm").read_bytes()
        )
        for path in sorted(Path(folder).glob("*.json"))
    ]


def save(path: Path, title: str, moments: list[Moment], quality: int = 44) -> None:
    """Write an episode as path.webm and path.json.

    quality: VP9's constant rate factor, lower is better and larger.
    """
    fans, last = [], None
    for moment in moments:
        if len(moment.chosen) and moment.chosen is not last:
            last = moment.chosen
            thin = {"fan": moment.fan[:12, ::2], "chosen": moment.chosen}
            thin = {
                name: (1000 * paths).round().astype(int).tolist() for name, paths in thin.items()
            }
            fans.append({"frame": moment.frame} | thin)
    text = {"title": title, "line": moments[-1].line, "frames": len(moments), "fans": fans}
    write_atomically(
        path.with_suffix(".json"),
        lambda new: new.write_text(json.dumps(text, separators=(",", ":")), "utf-8"),
    )
    video = _encode(np.stack([moment.picture for moment in moments]), quality)
    write_atomically(path.with_suffix(".webm"), lambda new: new.write_bytes(video))


def _encode(pictures: np.ndarray, quality: int) -> bytes:
    """VP9 in WebM, which every browser plays without a licence. pictures: uint8[T, S, S, 3]."""
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as container:
        options = {"crf": str(quality), "b:v": "0", "g": "20", "deadline": "good", "cpu-used": "1"}
        stream = container.add_stream("libvpx-vp9", rate=FPS, options=options)
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt, stream.thread_count = "yuv420p", 1
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def main() -> None:
    """Record what is carried, anew:  python -m minipi0.widgets.recordings"""
    from minipi0.robot.scenes import ONE_STEP, REGRESSION, TEN_STEPS, wall
    from minipi0.robot.wall import PROMPTS
    from minipi0.robot.watch import watch

    words = {side: said[0] for side, said in PROMPTS.items()}
    wanted = {
        "ten Euler steps": TEN_STEPS,
        "one Euler step": ONE_STEP,
        "regression": REGRESSION,
        "ten Euler steps, told “left”": TEN_STEPS | {"instruction": words["left"]},
        "ten Euler steps, told “right”": TEN_STEPS | {"instruction": words["right"]},
    }
    FOLDER.mkdir(exist_ok=True)
    for number, (title, settings) in enumerate(wanted.items(), 1):
        moments = watch(wall(), Settings("the wall", **settings))
        save(FOLDER / f"wall_{number}", title, moments)
        print(f"{title}: {moments[-1].line}")


if __name__ == "__main__":
    main()
