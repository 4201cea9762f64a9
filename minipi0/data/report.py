"""What is in a robot data set, and what is wrong with it: counts, what each action means, problems.

    python -m minipi0.data FOLDER_OR_NAME

Reads the tables and no video. A problem says where it is and what to do. Thresholds stand in the
functions: they find what disturbs a training run, they prove nothing.
Axes: F frames of the whole data set, D dims of a state or an action, S state dims.
"""

import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from minipi0.data import lerobot, problems, sources
from minipi0.data.features import shape_of
from minipi0.data.lerobot import Recording
from minipi0.data.problems import Problem
from minipi0.data.splits import own_splits


@dataclass(frozen=True)
class Meaning:
    """What an action dim looks like. `str()` says it in words.

    kind: "velocity" (state units per second), "change" (per frame), "position", "two values",
        "constant" or "unclear".
    of: the state dim's name, or the values; state: its index.
    slope: state change per second, or state, for one unit of the action; r: the correlation.
    """

    kind: str
    of: str = ""
    state: int | None = None
    slope: float = 1.0
    r: float = 0.0

    def __str__(self):
        if self.kind in ("two values", "constant"):
            return f"{self.kind}: {self.of}"
        if self.kind == "unclear":
            return "goes with no single state dim"
        times = (
            "" if self.kind == "change" or 0.8 < self.slope < 1.25 else f", times {self.slope:.2g}"
        )
        words = {"change": "change per frame"}.get(self.kind, self.kind)
        return f"{words} of {self.of}{times} (r = {self.r:.2f})"


@dataclass
class Report:
    """What `examine` found. `print(report)` shows all of it.

    facts: {name: text}; dims: a row per dim, for the table; meanings: a Meaning per action dim;
    lengths: int[episodes]; problems: list of Problem.
    """

    facts: dict[str, str]
    lengths: np.ndarray
    dims: list[tuple] = field(default_factory=list)
    meanings: list[Meaning] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def __str__(self):
        wide = max(map(len, self.facts))
        indent = " " * (wide + 2)
        lines = [
            textwrap.fill(f"{name:{wide}}  {text}", 100, subsequent_indent=indent)
            for name, text in self.facts.items()
        ]
        wide = max(len(name) for _, name, *_ in self.dims)
        heads = ("min", "max", "mean", "std", "max |z|")
        lines += ["", f"{'':9}{'':{wide}}" + "".join(f"{head:>10}" for head in heads)]
        said = [""] * (len(self.dims) - len(self.meanings)) + self.meanings
        for (what, name, *numbers), meaning in zip(self.dims, said, strict=True):
            row = "".join(f"{number:10.3g}" for number in numbers)
            lines.append(f"{what:9}{name:{wide}}{row}  {meaning!s}".rstrip())
        count = len(self.problems)
        lines += ["", f"problems: {count}" if count else "no problem found"]
        return "\n".join(lines + [f"{i}. {one}" for i, one in enumerate(self.problems, start=1)])


def examine(
    source: str | Path | Recording,
    revision: str | None = None,
    state_key: str | list[str] | None = None,
    action_key: str | list[str] | None = None,
    episodes: list[int] | None = None,
    without: list[int] | None = None,
) -> Report:
    """Examine a data set: a name, a folder, a Hugging Face repo id, or a Recording.

    revision: a branch, tag or commit of the repository. The others: as of `lerobot.read`.
    Raises as `sources.locate` and `lerobot.read` do.
    """
    recording = source
    if not isinstance(source, Recording):
        folder = sources.locate(source, [], revision)
        recording = lerobot.read(folder, state_key, action_key, episodes, without)
    lengths = np.array([episode.length for episode in recording.episodes])
    report = Report(_facts(recording, lengths), lengths)
    report.meanings = action_meanings(recording)
    for what, values, names in problems.both(recording):
        z = np.abs(problems.z_scores(values)).max(0)
        numbers = np.stack([values.min(0), values.max(0), values.mean(0), values.std(0), z], 1)
        report.dims += [(what, name, *row) for name, row in zip(names, numbers, strict=True)]
    report.facts["clock"] = problems.clock(recording, problems.timestamps(recording))[0]
    report.problems = problems.find(recording)
    return report


def action_meanings(recording: Recording) -> list[Meaning]:
    """What each action dim looks like, by how it goes with the state.

    Every action dim is compared with every state dim: with its value one frame later, and with its
    change per second. Two joints that move together can be taken for one another: a meaning is a
    hint.

    Returns one Meaning per action dim.
    """
    now, later, acted = problems.steps(recording)
    change = (later - now) * recording.fps
    follow, move = _correlations(acted, later), _correlations(acted, change)
    meanings = []
    for d in range(recording.actions.shape[1]):
        values = np.unique(recording.actions[:, d])
        s, v = int(np.abs(follow[d]).argmax()), int(np.abs(move[d]).argmax())
        position, velocity = follow[d, s], move[d, v]
        if len(values) <= 2:
            text = " and ".join(f"{value:g}" for value in values)
            meanings.append(Meaning("constant" if len(values) == 1 else "two values", text))
        elif max(abs(position), abs(velocity)) < 0.5:
            meanings.append(Meaning("unclear"))
        elif abs(velocity) > abs(position):
            slope = _slope(acted[:, d], change[:, v])
            per_frame = abs(slope / recording.fps - 1) < 0.25
            kind = "change" if per_frame else "velocity"
            meanings.append(Meaning(kind, recording.state_names[v], v, slope, velocity))
        else:
            slope = _slope(acted[:, d], later[:, s])
            meanings.append(Meaning("position", recording.state_names[s], s, slope, position))
    return meanings


# ---- counts --------------------------------------------------------------------------------------


def _facts(recording: Recording, lengths: np.ndarray) -> dict[str, str]:
    info, cameras = recording.info, []
    for key in recording.cameras:
        feature = info["features"][key]
        more = feature.get("info") or feature.get("video_info") or {}
        size = "x".join(map(str, shape_of(feature) or [])) or "of unknown size"
        cameras.append(f"{key} ({size}, {more.get('video.codec', feature['dtype'])})")
    cameras += [f"{key} (left out: {why})" for key, why in recording.no_cameras.items()]
    starts = [episode.start for episode in recording.episodes]
    counts = np.bincount(recording.task[starts], minlength=len(recording.task_texts))
    tasks = [f"{text!r} ({n})" for text, n in zip(recording.task_texts, counts, strict=True) if n]
    more = [f"and {len(tasks) - 8} more"] if len(tasks) > 8 else []
    seconds = lengths / recording.fps
    return {
        "format": f"LeRobot {recording.version}",
        "robot": str(info.get("robot_type") or "not named"),
        "episodes": f"{len(lengths):,}",
        "frames": f"{lengths.sum():,} at {recording.fps:g} a second: {seconds.sum() / 60:.1f} min",
        "length": f"{lengths.min()}, {np.median(lengths):g}, {lengths.max()} frames (shortest, "
        f"median, longest): {seconds.min():.1f} to {seconds.max():.1f} s",
        "cameras": ", ".join(cameras) or "none",
        "state": _named(recording.state_names),
        "action": _named(recording.action_names),
        "tasks": f"{len(tasks)}, with episodes: " + ", ".join(tasks[:8] + more),
    } | _splits(info)


def _splits(info: dict) -> dict[str, str]:
    """The data set's own splits, where it has several: `data.load` does not use them."""
    told = own_splits(info)
    not_used = "(not used: name episodes with episodes= and without=)"
    return {"splits": f"{told} {not_used}"} if told else {}


def _named(names: list[str]) -> str:
    """How many dims there are, and their names where the data set has any."""
    if all(name.endswith(f"[{i}]") for i, name in enumerate(names)) and len(names) > 1:
        return f"{len(names)}: {names[0]} to {names[-1]} (info.json has no name for each)"
    return f"{len(names)}: {', '.join(names)}"


def _correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a: float[N, D], b: float[N, S] -> float[D, S]; 0 where one of the two never changes."""
    return problems.z_scores(a).T @ problems.z_scores(b) / max(len(a), 1)


def _slope(a: np.ndarray, b: np.ndarray) -> float:
    """b = slope * a + constant, by least squares."""
    a = a - a.mean()
    return float(a @ (b - b.mean()) / max(a @ a, 1e-12))
