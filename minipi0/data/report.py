"""What is in a robot data set, and what is wrong with it: counts, what each action means, problems.

    python -m minipi0.data FOLDER_OR_NAME

Reads the tables and no video. A problem says where it is and what to do. Thresholds stand in the
functions: they find what disturbs a training run, they prove nothing.
Axes: F frames of the whole data set, D dims of a state or an action, S state dims.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from minipi0.data import lerobot, problems, sources
from minipi0.data.lerobot import Recording
from minipi0.data.problems import Problem


@dataclass
class Report:
    """What `examine` found. `print(report)` shows all of it.

    facts: {name: text}; dims: a row per dim, for the table; meanings: {action name: text};
    lengths: int[episodes]; problems: list of Problem.
    """

    facts: dict[str, str]
    lengths: np.ndarray
    dims: list[tuple] = field(default_factory=list)
    meanings: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def __str__(self):
        wide = max(map(len, self.facts))
        lines = [f"{name:{wide}}  {text}" for name, text in self.facts.items()]
        wide = max(len(name) for _, name, *_ in self.dims)
        heads = ("min", "max", "mean", "std", "max |z|")
        lines += ["", f"{'':9}{'':{wide}}" + "".join(f"{head:>10}" for head in heads)]
        for what, name, *numbers in self.dims:
            row = "".join(f"{number:10.3g}" for number in numbers)
            lines.append(f"{what:9}{name:{wide}}{row}  {self.meanings.get(name, '')}".rstrip())
        count = len(self.problems)
        lines += ["", f"problems: {count}" if count else "no problem found"]
        return "\n".join(
            lines + [f"{i}. {problem}" for i, problem in enumerate(self.problems, start=1)]
        )


def examine(source: str | Path | Recording) -> Report:
    """Examine a data set: a name, a folder, a Hugging Face repo id, or a Recording.

    Raises as `sources.locate` and `lerobot.read` do.
    """
    recording = source
    if not isinstance(source, Recording):
        recording = lerobot.read(sources.locate(source, cameras=[]))
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


def action_meanings(recording: Recording) -> dict[str, str]:
    """What each action dim looks like, by how it goes with the state.

    Compared with every state dim: the state one frame ahead, and the state's change per second.
    Returns {action name: text}. A coincidence of two correlated joints is possible: it is a hint.
    """
    now, later, acted = problems.steps(recording)
    change = (later - now) * recording.fps
    follow, move = _correlations(acted, later), _correlations(acted, change)
    meanings = {}
    for d, name in enumerate(recording.action_names):
        values = np.unique(recording.actions[:, d])
        s, v = np.abs(follow[d]).argmax(), np.abs(move[d]).argmax()
        if len(values) == 1:
            meanings[name] = "never changes"
        elif len(values) == 2:
            meanings[name] = f"two values, {values[0]:g} and {values[1]:g}: a gripper or a switch"
        elif max(abs(follow[d, s]), abs(move[d, v])) < 0.5:
            meanings[name] = "goes with no single state dim"
        elif abs(move[d, v]) > abs(follow[d, s]):
            slope = _slope(acted[:, d], change[:, v])
            kind = "velocity of" if 0.8 < slope < 1.25 else f"velocity (times {slope:.2g}) of"
            if abs(slope / recording.fps - 1) < 0.25:
                kind = "change per frame of"
            meanings[name] = f"{kind} {recording.state_names[v]} (r = {move[d, v]:.2f})"
        else:
            near = abs(_slope(acted[:, d], later[:, s]) - 1) < 0.25
            kind = "position of" if near else "goes with the position of"
            meanings[name] = f"{kind} {recording.state_names[s]} (r = {follow[d, s]:.2f})"
    return meanings


# ---- counts --------------------------------------------------------------------------------------


def _facts(recording: Recording, lengths: np.ndarray) -> dict[str, str]:
    info = json.loads((recording.folder / "meta" / "info.json").read_text())
    cameras = []
    for key in recording.cameras:
        feature = info["features"][key]
        more = feature.get("info") or feature.get("video_info") or {}
        size = "x".join(str(side) for side in feature.get("shape", []))
        cameras.append(f"{key} ({size}, {more.get('video.codec', feature['dtype'])})")
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
        "state": f"{len(recording.state_names)}: {', '.join(recording.state_names)}",
        "action": f"{len(recording.action_names)}: {', '.join(recording.action_names)}",
        "tasks": f"{len(tasks)}, with episodes: " + ", ".join(tasks[:8] + more),
    }


def _correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a: float[N, D], b: float[N, S] -> float[D, S]; 0 where one of the two never changes."""
    return problems.z_scores(a).T @ problems.z_scores(b) / max(len(a), 1)


def _slope(a: np.ndarray, b: np.ndarray) -> float:
    """b = slope * a + constant, by least squares."""
    a = a - a.mean()
    return float(a @ (b - b.mean()) / max(a @ a, 1e-12))
