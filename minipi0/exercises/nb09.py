"""Checks of notebook 09's exercises: an outlier, a chunk, and two bug hunts."""

import numpy as np

from minipi0.exercises import exercise
from minipi0.exercises.answers import near, numbers


@exercise("09.1")
def one_outlier(answer):
    """9,999 values even between -1 and 1 and a single 99: how wide is what becomes of -1 to 1?"""
    names = "width after z-score, after quantile, after min-max"
    z_score, quantile, min_max = numbers(answer, names)
    if near(z_score, 2 * 3**0.5, 0.07):
        return (
            "z-score: 0.577 is the standard deviation without the outlier. What does 99² / 10,000 "
            "add to the variance?"
        )
    if z_score < 0.1:
        return "z-score: it divides by the standard deviation of all values, not by the largest."
    if not near(z_score, 2 / (1 / 3 + 0.98) ** 0.5, 0.035):
        return (
            "z-score: the variance is nearly 1/3 + 99²/10,000. Divide 2 by its root; that is not "
            f"{z_score:g}."
        )
    if quantile < 0.1:
        return "quantile: one value in 10,000 is above the 99 % quantile, which stays where it was."
    if not near(quantile, 2 / 0.98, 0.04):
        return (
            "quantile: q01 and q99 are −0.98 and 0.98, and they go to −1 and 1; the width is not "
            f"{quantile:g}."
        )
    if near(min_max, 0.02, 4e-4):
        return "min-max: the formula has a factor 2, since the whole range goes to −1 … 1."
    if not near(min_max, 0.04, 8e-4):
        return (
            "min-max: the range is 100 and goes to a width of 2. What becomes of 2? Not "
            f"{min_max:g}."
        )


@exercise("09.2")
def a_chunk(chunk):
    """chunk(actions (T, D), frame, horizon) -> (actions (H, D), mask (H,)), padded at the end."""
    actions = np.random.default_rng(0).normal(size=(10, 3))
    before = actions.copy()
    for frame, horizon in ((0, 4), (3, 4), (8, 4), (9, 4), (6, 4), (2, 16), (9, 1)):
        where = f"frame {frame} of 10, horizon {horizon}"
        answer = chunk(actions, frame, horizon)
        if not isinstance(answer, tuple) or len(answer) != 2:
            return "return two things: the actions, (H, D), and the mask, (H,)."
        got, mask = (np.asarray(part) for part in answer)
        if got.shape != (horizon, 3):
            return (
                f"{where}: the actions have shape {got.shape}, not ({horizon}, 3): pad at the end."
            )
        if mask.shape != (horizon,):
            return f"{where}: the mask has shape {mask.shape}, not ({horizon},)."
        real = min(horizon, 10 - frame)
        if np.array_equal(got[0], actions[min(frame + 1, 9)]) and not np.array_equal(
            got[0], actions[frame]
        ):
            return (
                f"{where}: the chunk begins with the action of the frame itself, not of the next."
            )
        if not np.array_equal(got[:real], actions[frame : frame + real]):
            last = frame + real - 1
            return f"{where}: the first {real} actions are not those of frames {frame} to {last}."
        if real < horizon and np.all(got[real:] == 0):
            return f"{where}: zeros are a command, too (stand still). Repeat the last action."
        if not np.array_equal(got[real:], np.repeat(actions[-1:], horizon - real, axis=0)):
            return f"{where}: beyond the episode's end the last action is repeated."
        if np.array_equal(mask.astype(bool), np.arange(horizon) >= real):
            return f"{where}: True is for real steps, False for padded ones."
        if not np.array_equal(mask.astype(bool), np.arange(horizon) < real):
            return f"{where}: {real} steps are real; the mask says {int(mask.sum())}."
    if not np.array_equal(actions, before):
        return "it changed the recorded actions."


@exercise("09.3")
def hunt_the_picture(answer):
    """(picture_of, rows): row k of the table belongs to frame k of the video."""
    picture_of, rows = answer
    got = np.array([picture_of(row) for row in range(rows)])
    off = np.abs(got - np.arange(rows))
    if off[0] > 0:
        return f"row 0 gets picture {got[0]}: the first row belongs to the first picture."
    if off.max() == 0:
        return None
    if off.max() <= 2:
        return (
            f"closer, but row {off.argmax()} still gets picture {got[off.argmax()]}: a factor "
            "repairs a slow clock, and not its gap. Is the clock needed at all?"
        )
    return (
        f"row {off.argmax()} gets picture {got[off.argmax()]}. The recorder wrote one row for each "
        "picture. Which number of a row says so?"
    )


@exercise("09.4")
def hunt_the_order(stack):
    """stack(columns, names) -> float[T, D], the columns in the order of names."""
    names = ["joint_2", "joint_10", "gripper", "joint_1"]
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=5) for name in rng.permutation(names).tolist()}
    right = np.stack([columns[name] for name in names], axis=1)
    got = np.asarray(stack(columns, names))
    if got.shape == right.T.shape != right.shape:
        return f"expected a row per frame, {right.shape}, not {got.shape}: axis=1."
    if got.shape != right.shape:
        return f"expected shape {right.shape}, got {got.shape}."
    if np.array_equal(got, right):
        return None
    if np.array_equal(got, np.stack([columns[name] for name in sorted(columns)], axis=1)):
        return "the columns are still in alphabetical order, where joint_10 comes before joint_2."
    if np.array_equal(got, np.stack(list(columns.values()), axis=1)):
        return "the order of a dictionary is that of the file. Who knows the robot's order?"
    return f"the columns should come in the order of `names`, here {names}."
