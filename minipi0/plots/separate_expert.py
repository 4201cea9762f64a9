"""Notebook 06's pictures: the table and its names, and what becomes of five roads."""

import numpy as np
from matplotlib.ticker import PercentFormatter

from minipi0.plots import style
from minipi0.plots.shared import dots, success_bars

COLOURS = (
    style.FLOW,
    style.PATH,
    style.REGRESSION,
    style.NOISE,
    style.DATA,
    style.GAUSSIAN,
    style.ONE_STEP,
)
GROUPS = ("trained", "new pairs", "new colours")


def tables(pictures, titles):
    """Pictures of the table in a row. pictures: uint8[N, H, W, 3]. Returns the figure."""
    fig, axes = style.figure(1, len(pictures), size=(2.4, 2.6), squeeze=False)
    for ax, picture, title in zip(axes[0], pictures, titles, strict=True):
        ax.imshow(picture)
        ax.set_title(title, fontsize=9)
        ax.axis("off")
    return fig


def roads(found: dict[str, list[dict]], before: dict[str, float]):
    """All that was measured of every road, in one figure.

    found: {road: a result per seed, as measure_06 writes it}. before: {kind of question: share that
        the VLM answered before any robot data}.
    Returns the figure.
    """
    fig, axes = style.figure(2, 2, size=(5.2, 3.7))
    colours = dict(zip(found, COLOURS, strict=False))
    _energy(axes[0, 0], found, colours)
    _success(axes[0, 1], found, colours)
    _skill(axes[1, 0], found, colours, before)
    _cost(axes[1, 1], found, colours)
    handles = [axes[0, 0].plot([], [], color=colours[name], lw=3)[0] for name in found]
    fig.legend(handles, list(found), loc="outside lower center", ncols=2, fontsize=9)
    return fig


def share(result: dict, group: str) -> tuple[int, int]:
    """Successes and trials of one training in one group of names."""
    rows = result["trials"][group]
    return sum(row[1] for row in rows), len(rows)


def right(result: dict, kind: str) -> float:
    """The share of questions of a kind that the VLM answers after one training."""
    return result["skill"][kind][0] / result["skill"][kind][1]


def _energy(ax, found, colours) -> None:
    for name, results in found.items():
        steps = [int(step) for step in results[0]["energy"]]
        curves = np.array([list(result["energy"].values()) for result in results])
        ax.plot(steps, curves.mean(0), color=colours[name], lw=2)
        ax.fill_between(steps, curves.min(0), curves.max(0), color=colours[name], alpha=0.15, lw=0)
    ax.set(xlabel="training steps", ylabel="energy score, held-out", title="learning to act")
    ax.set_yscale("log")
    ax.minorticks_off()
    low, high = ax.get_ylim()
    ticks = [t for t in (0.1, 0.15, 0.2, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8) if low < t < high]
    ax.set(yticks=ticks, yticklabels=[f"{t:g}" for t in ticks])


def _success(ax, found, colours) -> None:
    trainings = {
        name: {group: [share(result, group) for result in results] for group in GROUPS}
        for name, results in found.items()
    }
    success_bars(ax, trainings, colours.values(), chance=1 / 3)
    ax.set(title="success in closed loop", xlabel="names that are asked for")


def _skill(ax, found, colours, before) -> None:
    kinds, width = list(before), 0.8 / len(found)
    for i, (name, results) in enumerate(found.items()):
        for j, kind in enumerate(kinds):
            x = j + (i - (len(found) - 1) / 2) * width
            values = [right(result, kind) for result in results]
            ax.bar(x, np.mean(values), width * 0.9, color=colours[name])
            dots(ax, x + width / 4, [result["skill"][kind] for result in results], style.INK)
    for j, kind in enumerate(kinds):
        ax.plot([j - 0.45, j + 0.45], [before[kind]] * 2, color=style.INK, lw=1.2, ls="--")
    ax.set(xticks=range(len(kinds)), xticklabels=kinds, ylim=(0, 1))
    ax.set(title="what is left of the VLM's own skill (dashed: before)", xlabel="kind of question")
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _cost(ax, found, colours) -> None:
    names = list(found)[::-1]
    euler = [np.mean([r["milliseconds"]["Euler step"] for r in found[n]]) for n in names]
    training = [np.mean([r["milliseconds"]["training step"] for r in found[n]]) for n in names]
    least = min(euler), min(training)
    for shift, values, low, hatch in (
        (0.2, euler, least[0], None),
        (-0.2, training, least[1], "//"),
    ):
        bars = ax.barh(
            np.arange(len(names)) + shift,
            np.array(values) / low,
            0.36,
            color=[colours[n] for n in names],
            hatch=hatch,
            edgecolor="white",
        )
        ax.bar_label(bars, [f"{value:.1f} ms" for value in values], padding=3, fontsize=8)
    ax.set(
        yticks=[],
        xlabel="times the cheapest",
        title="cost: an Euler step, a training step (hatched)",
    )
    ax.set_xlim(0, ax.get_xlim()[1] * 1.15)
