"""The one owner of normalisation: from the robot's units to the model's numbers, and back.

    z-score     (x - mean) / std                     pi0 (openpi, LeRobot)
    quantile    2 (x - q01) / (q99 - q01) - 1        pi0-FAST, pi0.5
    min-max     2 (x - min) / (max - min) - 1        many diffusion policies

Data sets, policies and checkpoints all come here. Between them the statistics travel as one flat
dict of vectors, `stats`: state_mean, state_std, action_mean, action_std; or the same with q01 and
q99, or with min and max. The names say which formula they belong to.

A dim that hardly changes, beside its own size, is not scaled by its jitter: see FLOOR. A dim of two
values whose quantiles are one value has its two values as quantiles.

A new formula is one line in STATISTICS and one in `Normaliser.shift_and_scale`.
Axes: F frames, D dims of a state or an action.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

STATISTICS = {  # mode -> its two statistics, each with how to measure it along the frames
    "z-score": {
        "mean": lambda x: x.mean(0, dtype=np.float64),
        "std": lambda x: x.std(0, dtype=np.float64),
    },
    "quantile": {
        "q01": lambda x: np.quantile(x, 0.01, axis=0),
        "q99": lambda x: np.quantile(x, 0.99, axis=0),
    },
    "min-max": {"min": lambda x: x.min(0), "max": lambda x: x.max(0)},
}


# A scale is at least this part of the dim's usual size, |x|, and this part of the others' scale:
# jitter of 1e-6 around 1.5 is no movement, and 0.01 beside it is not 10,000 standard deviations.
FLOOR, FLOOR_OF_OTHERS = 1e-3, 1e-4
FAR = 20  # scales from the middle: what lies beyond is worth a warning


@dataclass(frozen=True, eq=False)
class Normaliser:
    """Shifts and scales every dim of a state or an action.

    mode: "z-score", "quantile" or "min-max".
    statistics: {name: float32[D]}, the mode's two, in the order of STATISTICS.
    Raises ValueError for an unknown mode, and for statistics that are not finite or not in order.
    """

    mode: str
    statistics: dict[str, Tensor]

    def __post_init__(self):
        check_mode(self.mode)
        names = list(STATISTICS[self.mode])
        values = {name: torch.as_tensor(self.statistics[name]).float() for name in names}
        first, second = values.values()
        if first.ndim != 1 or first.shape != second.shape:
            shapes = " and ".join(str(tuple(value.shape)) for value in values.values())
            raise ValueError(f"{' and '.join(names)} must be vectors of one length, not {shapes}")
        for name, value in values.items():
            if not value.isfinite().all():
                where = (~value.isfinite()).nonzero()[0].item()
                raise ValueError(
                    f"{name} is {value[where]:g} in dimension {where}: it must be finite"
                )
        ordered = second >= (0 if self.mode == "z-score" else first)
        if not ordered.all():
            where = (~ordered).nonzero()[0].item()
            raise ValueError(
                f"{names[1]} is {second[where]:g} in dimension {where}: it is too small"
            )
        object.__setattr__(self, "statistics", values)

    @classmethod
    def fit(cls, values: np.ndarray, mode: str = "z-score", what: str = "data", names=None):
        """Measure the statistics of recorded numbers.

        values: float[F, D]. what, names: what they are, and each dim, for messages.
        Warns of dims that never change: they are shifted to 0 and left unscaled; and of dims that
        hardly change, whose scale is not their jitter but the floor.
        """
        check_mode(mode)
        names = names or [f"dimension {i}" for i in range(values.shape[1])]
        measured = {name: measure(values) for name, measure in STATISTICS[mode].items()}
        middle = values.mean(0, dtype=np.float64)
        spread, size = values.std(0, dtype=np.float64), np.abs(values).max(axis=0)
        constant = spread <= np.finfo(np.float32).eps * size
        _tell(
            constant,
            *(what, names),
            "never changes in the training episodes, so it is shifted to 0 and left unscaled",
        )
        unscaled = {"mean": middle, "std": 1.0, "q01": middle - 1, "q99": middle + 1}
        unscaled |= {"min": middle - 1, "max": middle + 1}
        if mode == "quantile":  # a button that is hardly ever pressed: both lie where it rests
            ends = values.min(0), values.max(0)
            pressed = np.logical_or(*(values == end for end in ends)).all(0)
            pressed &= measured["q01"] == measured["q99"]
            for name, end in zip(measured, ends, strict=True):
                measured[name] = np.where(pressed, end, measured[name])
        kept = {name: np.where(constant, unscaled[name], value) for name, value in measured.items()}
        first, second = kept
        centre, scale = kept[first], kept[second]
        if mode != "z-score":
            centre, scale = (scale + centre) / 2, (scale - centre) / 2
        floor = FLOOR * np.median(np.abs(values), axis=0)
        if not constant.all():
            others = np.quantile(spread[~constant], 0.5, method="lower")
            floor = np.maximum(floor, FLOOR_OF_OTHERS * others)
        jitters = ~constant & (scale < floor)
        _tell(
            jitters,
            *(what, names),
            "hardly changes in the training episodes, so its scale is a part of its size and not "
            "its jitter",
        )
        at_least = np.maximum(scale, floor)
        if mode == "z-score":
            kept[second] = np.where(jitters, at_least, kept[second])
        else:
            kept[first] = np.where(jitters, centre - at_least, kept[first])
            kept[second] = np.where(jitters, centre + at_least, kept[second])
        return cls(mode, {name: torch.tensor(value) for name, value in kept.items()})

    @classmethod
    def from_stats(cls, stats: dict[str, Tensor], what: str) -> "Normaliser":
        """The normaliser of "state" or "action" among `stats`.

        Raises ValueError where both statistics of a mode are missing or they are no statistics.
        """
        for mode, names in STATISTICS.items():
            found = {name: stats.get(f"{what}_{name}") for name in names}
            if None not in found.values():
                try:
                    return cls(mode, found)
                except ValueError as error:
                    raise ValueError(f"the statistics of the {what}: {error}") from None
        pairs = " or ".join(f"{what}_{a}, {what}_{b}" for a, b in STATISTICS.values())
        raise ValueError(f"stats must hold {pairs}; they hold {sorted(stats)}")

    def stats(self, what: str) -> dict[str, Tensor]:
        """This normaliser's part of the flat dict: {"action_mean": float32[D], …}."""
        return {f"{what}_{name}": value for name, value in self.statistics.items()}

    def shift_and_scale(self) -> tuple[Tensor, Tensor]:
        """(float32[D], float32[D]): x_model = (x - shift) / scale. A scale of 0 becomes 1."""
        first, second = self.statistics.values()
        shift, scale = first, second
        if self.mode != "z-score":
            shift, scale = (first + second) / 2, (second - first) / 2
        return shift, torch.where(scale > 0, scale, 1.0)

    def to_model(self, x: Tensor) -> Tensor:
        """From the robot's units to the model's numbers. x: float[..., D]."""
        shift, scale = self.shift_and_scale()
        return (x - shift.to(x)) / scale.to(x)

    def to_robot(self, x: Tensor) -> Tensor:
        """From the model's numbers to the robot's units. x: float[..., D]."""
        shift, scale = self.shift_and_scale()
        return x * scale.to(x) + shift.to(x)


def normalisers(stats: dict[str, Tensor]) -> dict[str, Normaliser]:
    """{"state": …, "action": …} from the flat dict. Raises as `Normaliser.from_stats`."""
    found = {what: Normaliser.from_stats(stats, what) for what in ("state", "action")}
    known = {name for what, one in found.items() for name in one.stats(what)}
    if stats.keys() - known:
        raise ValueError(
            f"stats hold {sorted(stats.keys() - known)}, which belong to no known formula"
        )
    return found


def check_mode(mode: str) -> None:
    """Raise ValueError for an unknown mode."""
    if mode not in STATISTICS:
        raise ValueError(f"normalise is one of {list(STATISTICS)}, not {mode!r}")


def far(normaliser: Normaliser, values: np.ndarray) -> list[tuple[int, int, float]]:
    """Dims that come out beyond FAR, or of which one frame alone widens the scale.

    values: float[F, D], all that was recorded.
    Returns (dim, the frame that lies farthest, how many scales or deviations of all other frames
    it is from the middle).
    """
    values = values.astype(np.float64)
    out = normaliser.to_model(torch.from_numpy(values)).abs().numpy()
    found = []
    for d, column in enumerate(values.T):
        at, alone = int(np.abs(column - np.median(column)).argmax()), 0.0
        rest = np.delete(column, at)
        if len(rest) > 2 and (scale := max(rest.std(), FLOOR * np.median(np.abs(rest)))):
            alone = abs(column[at] - rest.mean()) / scale
        if max(out[:, d].max(), alone) > FAR:
            found.append((d, at, max(out[at, d], alone)))
    return found


def _tell(which: np.ndarray, what: str, names, told: str) -> None:
    """Warn of the dims of which something is true."""
    if which.any():
        listed = ", ".join(name for name, yes in zip(names, which, strict=True) if yes)
        warnings.warn(f"{what} {told}: {listed}", stacklevel=5)
