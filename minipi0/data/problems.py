"""What disturbs a training run in recordings: clocks, jumps, pauses, stuck values, odd dims.

A problem says where it is and what to do. Thresholds stand in the functions; a check finds what is
worth a look, it proves nothing. Reads tables only.
Axes: F frames of the whole data set, D dims of a state or an action, N frames that have a next one.
"""

import textwrap
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from minipi0.data.lerobot import Recording
from minipi0.data.tables import errors_name, parquet_file, seconds

MANY = 200_000  # frames; quantiles and correlations of a larger set use an even choice of this many


@dataclass(frozen=True)
class Problem:
    """kind: one word; where: episodes, frames, dims; what: the finding with numbers; do: advice."""

    kind: str
    where: str
    what: str
    do: str

    def __str__(self):
        found = textwrap.fill(
            f"{self.kind}, {self.where}: {self.what}", 97, subsequent_indent="   "
        )
        return f"{found}\n   -> {self.do}"


def timestamps(recording: Recording) -> list[np.ndarray] | None:
    """The recorded times in seconds, an array per episode; None where a table has no numbers."""
    found, tables = [], {}
    for episode in recording.episodes:
        file = episode.rows.file
        if file not in tables:
            with errors_name(file), parquet_file(file) as parquet:
                if "timestamp" not in parquet.schema_arrow.names:
                    return None
                column = parquet.read(["timestamp"])["timestamp"]
                if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                    return None
                tables = {file: seconds(column, f"{file}: 'timestamp'")}
        found.append(tables[file][episode.rows.first :][: episode.length])
    return found


def find(recording: Recording) -> list[Problem]:
    """Everything that the checks of this file find."""
    found = clock(recording, timestamps(recording))[1]
    for check in (_lengths, _jumps, _standstill, _repeated, _dims, _copies):
        found += check(recording)
    return found


# ---- time ----------------------------------------------------------------------------------------


def clock(recording: Recording, times) -> tuple[str, list[Problem]]:
    """The clock in words, and what is wrong with it."""
    if times is None:
        return "no timestamps in the tables", []
    fps, index = recording.fps, [episode.index for episode in recording.episodes]
    long = [k for k, t in enumerate(times) if len(t) > 1]
    if not long:
        return "every episode has a single frame", []
    problems = []
    gaps = [np.diff(times[k]) * fps for k in long]  # in nominal periods
    back = [
        (index[k], int(g.argmin()) + 1) for k, g in zip(long, gaps, strict=True) if g.min() <= 0
    ]
    if back:
        where = f"{len(back)} episodes, first {back[0][0]} at frame {back[0][1]}"
        what = "the timestamp does not grow from one frame to the next"
        do = "sort the frames, or record them again; do not index anything by this clock"
        return "runs backwards somewhere", [Problem("clock", where, what, do)]
    span = np.array([times[k][-1] - times[k][0] for k in long])
    rate = np.array([len(times[k]) - 1 for k in long]) / np.where(span > 0, span, np.inf)
    late = np.array([g.sum() - len(g) for g in gaps])  # periods, at the episode's end
    if np.abs(late).max() > 0.5:
        k = np.abs(late).argmax()
        off = int((np.abs(late) > 0.5).sum())
        where = f"{off} of {len(long)} episodes, most in episode {index[long[k]]}"
        what = (
            f"the clock ran at {rate.min():.2f} to {rate.max():.2f} frames a second, not {fps:g}; "
            f"by the end of that episode clock and frame number are {abs(late[k]):.1f} frames apart"
        )
        do = "find frames by their number; timestamp x fps names another frame"
        problems.append(Problem("clock", where, what, do))
    missing = [
        (index[k], int(i), g[i])
        for k, g in zip(long, gaps, strict=True)
        for i in np.flatnonzero(g > 1.8)
    ]
    if missing:
        episode, frame, gap = max(missing, key=lambda found: found[2])
        where = (
            f"{len({e for e, *_ in missing})} episodes, longest in {episode} after frame {frame}"
        )
        what = f"{len(missing)} gaps longer than 1.8 periods; the longest lasts {gap / fps:.2f} s"
        do = "velocities times the nominal period are too short there; leave the worst episodes out"
        problems.append(Problem("gap", where, what, do))
    if max(np.abs(g - 1).max() for g in gaps) < 0.01:
        return "nominal: every timestamp is frame number / fps, so no clock was recorded", problems
    return f"{np.median(rate):.2f} frames a second (median of the episodes)", problems


def _lengths(recording: Recording) -> list[Problem]:
    lengths = np.array([episode.length for episode in recording.episodes])
    middle, problems = np.median(lengths), []
    for kind, odd in (("short", lengths < middle / 2), ("long", lengths > 2 * middle)):
        if odd.any():
            where = "episodes " + some([recording.episodes[i].index for i in np.flatnonzero(odd)])
            what = f"{odd.sum()} with {_range(lengths[odd])} frames; the median has {middle:g}"
            do = "look at them: a failed or an interrupted demonstration teaches just that"
            problems.append(Problem(kind, where, what, do))
    return problems


# ---- motion --------------------------------------------------------------------------------------


def jumps(recording: Recording) -> np.ndarray:
    """Steps of the state that the steps beside them do not share: int[J, 2], (row, dim).

    A step from row to row + 1 counts where it is more than four times the dim's 90 % quantile, more
    than five times both of its neighbours, and more than 2 % of the range. Dims with two values
    are left out.
    """
    step, inside = np.diff(recording.state, axis=0), _inside(recording)
    size = np.where(inside[:, None], np.abs(step), 0)
    moving = sample(size[inside])
    usual = np.quantile(moving, 0.9, axis=0) if len(moving) else np.zeros(size.shape[1])
    padded = np.pad(size, ((1, 1), (0, 0)))
    beside = np.maximum(padded[:-2], padded[2:])
    floor = 0.02 * np.ptp(recording.state, axis=0)
    found = (size > np.maximum(4 * usual, floor)) & (size > 5 * beside)
    return np.argwhere(found & ~two_valued(recording.state))


def _jumps(recording: Recording) -> list[Problem]:
    found = jumps(recording)
    if not len(found):
        return []
    starts = {episode.start: k for k, episode in enumerate(recording.episodes)}
    rows = sorted(set(found[:, 0].tolist()))
    first = [row for row in rows if row in starts]
    state, problems = recording.state, []
    scale = np.ptp(state, axis=0) + 1e-12
    if len(first) > 2:
        stale = sum(
            bool((np.abs(state[row] - state[row - 1]) < 2e-3 * scale).all()) for row in first if row
        )
        where = "frame 0 of episodes " + some([_at(recording, row)[0] for row in first])
        what = f"the state jumps right after the first frame, in {len(first)} episodes"
        if stale:
            what += f"; in {stale} of them frame 0 still holds the last state of the episode before"
        do = "drop frame 0 of every episode"
        problems.append(Problem("stale", where, what, do))
        rows = [row for row in rows if row not in starts]
    if rows:
        mine = found[np.isin(found[:, 0], rows)]
        height = np.abs(state[mine[:, 0] + 1, mine[:, 1]] - state[mine[:, 0], mine[:, 1]])
        row, dim = mine[(height / scale[mine[:, 1]]).argmax()]
        episode, frame = _at(recording, row)
        turns = np.abs(height - 2 * np.pi) < 0.3
        where = f"{_count(len(rows), 'frame')}, largest in episode {episode} after frame {frame}"
        before, after = state[row : row + 2, dim]
        what = f"{recording.state_names[dim]} goes from {before:.3g} to {after:.3g}"
        do = "look at the video there: a lost message, a wrong order of frames, or a cut"
        if turns.mean() > 0.5:
            do = "the angle wraps at a full turn: unwrap it, or give its sine and cosine"
        problems.append(Problem("jump", where, what, do))
    return problems


def _standstill(recording: Recording) -> list[Problem]:
    """Pauses: a second or more in which no state dim moves."""
    scale = np.ptp(sample(recording.state), axis=0) + 1e-12
    still = (np.abs(np.diff(recording.state, axis=0)) < 1e-3 * scale).all(1)
    begins, counts = _runs(still & _inside(recording))
    keep = counts >= max(recording.fps, 2)
    begins, counts = begins[keep], counts[keep]
    if not len(begins):
        return []
    ends = [episode.start + episode.length for episode in recording.episodes]
    starts = [episode.start for episode in recording.episodes]
    edge = np.isin(begins, starts) | np.isin(begins + counts + 1, ends)
    episode, frame = _at(recording, begins[counts.argmax()])
    count = _count(len(begins), "pause")
    where = f"{count} of 1 s or more, longest in episode {episode} from frame {frame}"
    what = (
        f"no state dim moves in {counts.sum() / len(recording.state):.1%} of the frames (longest "
        f"{counts.max() / recording.fps:.1f} s); {int(edge.sum())} at an episode's start or end"
    )
    do = "cut them at the edges; a policy learns to wait where its pictures do not change"
    return [Problem("pause", where, what, do)]


def _repeated(recording: Recording) -> list[Problem]:
    """Values that are stuck: one whole row again and again, or one dim while the others move."""
    inside, problems = _inside(recording), []
    same = (np.diff(recording.state, axis=0) == 0) & inside[:, None]
    whole = same.all(1) & (np.diff(recording.actions, axis=0) == 0).all(1)
    begins, counts = _runs(whole)
    if whole.sum() > 0.01 * len(whole):
        episode, frame = _at(recording, begins[counts.argmax()])
        where = f"{whole.mean():.1%} of the frames, longest in episode {episode} from frame {frame}"
        what = f"state and action repeat the frame before bit by bit, up to {counts.max()} times"
        do = "the recorder ran faster than the robot answered: record slower, or drop the copies"
        problems.append(Problem("repeated", where, what, do))
    low, span = recording.state.min(0), np.ptp(recording.state, axis=0)
    skip = two_valued(recording.state) | (span == 0)
    moving = inside & (~same[:, ~skip]).any(1)
    for d in np.flatnonzero(~skip):
        begins, counts = _runs(same[:, d] & moving)
        # a hand that is wide open is at a limit, and rightly still
        share = (recording.state[begins, d] - low[d]) / span[d]
        keep = (counts >= max(2 * recording.fps, 10)) & (share > 0.01) & (share < 0.99)
        if keep.any() and same[moving, d].mean() < 0.5:
            begins, counts = begins[keep], counts[keep]
            episode, frame = _at(recording, begins[counts.argmax()])
            where = f"{recording.state_names[d]}, longest in episode {episode} from frame {frame}"
            what = f"the value is stuck for {counts.max()} frames while other dims move"
            do = "check that sensor; leave the episode out, or the dim"
            problems.append(Problem("stuck", where, what, do))
    return problems


# ---- dims ----------------------------------------------------------------------------------------


def _dims(recording: Recording) -> list[Problem]:
    """Dims that do harm once they are normalised."""
    problems = []
    for what, values, names in both(recording):
        z = np.abs(z_scores(values))
        for d, name in enumerate(names):
            for kind, tell, do in _dim(values[:, d], z[:, d], what == "action"):
                if kind == "outlier":
                    episode, frame = _at(recording, z[:, d].argmax())
                    tell += f", in episode {episode}, frame {frame}"
                if kind == "constant" and "grip" in name.lower():
                    do = "a gripper that never acts cannot be learned: check the recording"
                problems.append(Problem(kind, f"{what} {name}", tell, do))
    return problems


def _dim(values: np.ndarray, z: np.ndarray, is_action: bool):
    """(kind, what, do) of everything odd about one dim. values, z: float[F]."""
    low, high = values.min(), values.max()
    if values.std() <= np.finfo(np.float32).eps * np.abs(values).max():
        yield "constant", f"always {low:g}", "divide it by 1, not by its std, or leave it out"
        return
    inner = np.ptp(np.quantile(sample(values), [0.01, 0.99]))
    distinct = len(np.unique(values))
    if distinct > 2 and inner < 0.05 * (high - low):
        tell = f"98 % of it lies within {inner:.2g}, all of it within {high - low:.2g}"
        yield "nearly constant", tell, "do not scale it by its quantiles; give it a scale by hand"
    if z.max() > 20:
        tell = f"{z.max():.0f} standard deviations from the mean"
        yield "outlier", tell, "look at that frame; clip it, or leave the episode out"
    edges = (values == low).mean() + (values == high).mean()
    if is_action and distinct > 16 and edges > 0.05:
        tell = f"{edges:.0%} of the frames are at exactly {low:.3g} or {high:.3g}"
        yield "saturated", tell, "the command was clipped: what was wanted there is not recorded"


def _copies(recording: Recording) -> list[Problem]:
    """Actions that are nothing but the state, of the same frame or of the next."""
    now, later, acted = steps(recording)
    problems = []
    if now.shape[1] != acted.shape[1] or not len(now):
        return problems
    scale = np.ptp(recording.state, axis=0) + 1e-12
    moving = np.ptp(recording.state, axis=0) > 0
    for values, text, do in (
        (
            now,
            "of the same frame",
            "the action says nothing about what comes next: record commands",
        ),
        (
            later,
            "one frame ahead",
            "measured, not commanded: a policy may lag behind what it tracks",
        ),
    ):
        close = (np.abs(values - acted) < 1e-4 * scale).mean(0) > 0.95
        if (close & moving).any():
            names = [recording.action_names[d] for d in np.flatnonzero(close & moving)]
            what = f"the action is the state {text}, to a ten-thousandth of its range"
            problems.append(Problem("copy", f"action {some(names)}", what, do))
            break
    return problems


# ---- small helpers -------------------------------------------------------------------------------


def both(recording: Recording):
    """("state", …) and ("action", …): the values as float64[F, D] and their names."""
    yield "state", recording.state.astype(np.float64), recording.state_names
    yield "action", recording.actions.astype(np.float64), recording.action_names


def z_scores(values: np.ndarray) -> np.ndarray:
    """float[N, D] -> float[N, D]; 0 where a dim never changes."""
    if not len(values):
        return values
    std = values.std(0)
    return (values - values.mean(0)) / np.where(std > 0, std, 1)


def two_valued(values: np.ndarray) -> np.ndarray:
    """bool[D]: exactly two values."""
    low, high = values.min(0), values.max(0)
    return (low < high) & ((values == low) | (values == high)).all(0)


def _inside(recording: Recording) -> np.ndarray:
    """bool[F - 1]: row and row + 1 are of one episode."""
    inside = np.ones(len(recording.state) - 1, dtype=bool)
    inside[[episode.start - 1 for episode in recording.episodes[1:]]] = False
    return inside


def sample(values: np.ndarray) -> np.ndarray:
    """At most MANY rows, evenly chosen."""
    return values[:: -(-len(values) // MANY) or 1]


def steps(recording: Recording) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """State, state one frame later and action: float64[N, …].

    Of the frames that have a next one, without the steps that are `jumps`.
    """
    smooth = _inside(recording)
    smooth[jumps(recording)[:, 0]] = False
    rows = sample(np.flatnonzero(smooth))
    state, actions = recording.state, recording.actions
    return tuple(part.astype(float) for part in (state[rows], state[rows + 1], actions[rows]))


def _runs(flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First index and length of every run of True."""
    edges = np.flatnonzero(np.diff(np.r_[0, flags.astype(int), 0]))
    return edges[::2], edges[1::2] - edges[::2]


def _at(recording: Recording, row: int) -> tuple[int, int]:
    """(episode, frame) of a row of the recording's arrays."""
    starts = [episode.start for episode in recording.episodes]
    k = int(np.searchsorted(starts, row, side="right")) - 1
    return recording.episodes[k].index, int(row) - starts[k]


def some(items: list) -> str:
    """The first eight, and how many more."""
    more = f" and {len(items) - 8} more" if len(items) > 8 else ""
    return ", ".join(map(str, items[:8])) + more


def _range(values: np.ndarray) -> str:
    low, high = values.min(), values.max()
    return f"{low}" if low == high else f"{low} to {high}"


def _count(n: int, thing: str) -> str:
    return f"{n} {thing}{'s' if n != 1 else ''}"
