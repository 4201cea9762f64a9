"""Which cameras of a data set to see: those that were named, or all that hold colours."""

import warnings

from minipi0.data import frames
from minipi0.data.lerobot import Recording


def choose(recording: Recording, named: list[str | None] | None) -> list[str | None]:
    """The feature keys of the cameras to see, in order; None is an empty slot.

    named: keys, or their last parts; None for all, and then depth maps are left out, and, beside
        cameras that are there, those without any file.
    Raises ValueError for a camera that is not declared or holds no colours, and where no declared
    camera is left: [] means that none is wanted.
    Warns of cameras that are left out, and of colours that are called depth.
    """
    if named is not None:
        chosen = [None if name is None else _key(name, recording) for name in named]
        for key in filter(None, chosen):
            if why := recording.no_cameras.get(key) or frames.depth(recording, key):
                raise ValueError(f"{recording.folder}: camera {key!r} cannot be seen: {why}")
        return chosen
    left_out = dict(recording.no_cameras)
    absent = {key: why for key in recording.cameras if (why := _absent(recording, key))}
    if len(absent) < len(recording.cameras):  # without any camera it is no copy to train on
        left_out |= absent
    there = [key for key in recording.cameras if key not in left_out]
    left_out |= {key: why for key in there if (why := frames.depth(recording, key))}
    chosen = [key for key in recording.cameras if key not in left_out]
    told = "; ".join(f"{key}: {why}" for key, why in left_out.items())
    if left_out and not chosen:
        raise ValueError(
            f"{recording.folder}: none of its cameras can be seen ({told}); without pictures it "
            "loads with cameras=[]"
        )
    if left_out:
        warnings.warn(f"{recording.folder}: cameras that are left out: {told}", stacklevel=4)
    if doubtful := [key for key in chosen if "depth" in key.lower()]:
        warnings.warn(
            f"{recording.folder}: taken as colours, as meta/info.json declares them: "
            f"{', '.join(doubtful)}; where they show depth, name the cameras= to see without them",
            stacklevel=4,
        )
    return chosen


def _absent(recording: Recording, camera: str) -> str:
    """Why nothing of a camera can be seen: none of its files is there; "" where one is."""
    spans = [one.videos.get(camera, one.rows) for one in recording.episodes]
    if any(span.file.is_file() for span in spans):
        return ""
    return f"none of its files is there, not even {min(span.file for span in spans)}"


def _key(name: str, recording: Recording) -> str:
    """The feature key of a camera, given in full or by its last part."""
    every = [*recording.cameras, *recording.no_cameras]
    matches = [key for key in every if name == key]
    matches = matches or [key for key in every if name == key.replace("/", ".").rsplit(".", 1)[-1]]
    if len(matches) != 1:
        problem = "is unknown" if not matches else f"could be any of {matches}"
        known = ", ".join(every) or "none"
        raise ValueError(f"camera {name!r} {problem}; {recording.folder} has {known}: cameras=")
    return matches[0]
