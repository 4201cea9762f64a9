"""Notebook 09's pictures: an episode, its chunks, what actions mean, clocks, scales, futures."""

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from minipi0.plots import style

MODES = {"z-score": style.DATA, "quantile": style.FLOW, "min-max": style.ONE_STEP}
COLOURS = [style.DATA, style.REGRESSION, style.FLOW, style.GAUSSIAN, style.ONE_STEP, style.PATH]
LINES = [dict(color=colour, ls=line) for line in ("-", "--") for colour in COLOURS]


def episode(curves: dict, fps: float, frame: int, horizon: int):
    """An episode's numbers over time, the chunk of one frame shaded: what the player shows.

    curves: {"state": (float[T, S], names), "action": (float[T, D], names)}.

    Returns the figure.
    """
    fig, axes = style.figure(len(curves), 1, size=(9, 2.1), sharex=True, squeeze=False)
    for ax, (title, (values, names)) in zip(axes[:, 0], curves.items(), strict=True):
        few = len(names) <= len(LINES)
        for d, name in enumerate(names):
            look = LINES[d % len(LINES)]
            ax.plot(np.arange(len(values)) / fps, values[:, d], lw=1.1, label=name, **look)
        if few:
            ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8, frameon=False)
        ax.axvline(frame / fps, color=style.INK, lw=1)
        ax.set_ylabel(title)
    last = min(frame + horizon - 1, len(values) - 1)
    ax.axvspan(frame / fps, last / fps, color=style.PATH, alpha=0.4, lw=0)
    ax.set_xlabel("seconds")
    return fig


def chunks(pictures: dict, names):
    """Action chunks as tables of colours; padded steps are hatched.

    pictures: {title: (actions float[H, D] normalised, mask bool[H])}.

    Returns the figure.
    """
    size = (4.6, min(0.26 * len(names) + 1.1, 6))
    fig, axes = style.figure(1, len(pictures), size=size, sharey=True, squeeze=False)
    for ax, (title, (actions, mask)) in zip(axes[0], pictures.items(), strict=True):
        look = dict(cmap=style.DIVERGING, vmin=-2.5, vmax=2.5, interpolation="nearest")
        shown = ax.imshow(np.asarray(actions).T, aspect="auto", **look)
        real = int(np.sum(np.asarray(mask)))
        if real < len(mask):
            look = dict(facecolor="none", hatch="///", edgecolor=style.INK)
            ax.axvspan(real - 0.5, len(mask) - 0.5, **look)
        ax.set(title=title, xlabel="step of the chunk")
    axes[0, 0].set_yticks(range(len(names)), names, fontsize=9 if len(names) < 12 else 6)
    fig.colorbar(shown, ax=axes[0].tolist(), label="normalised", shrink=0.9)
    return fig


def paths(seconds, measured, integrated: dict, names):
    """Measured paths and the same path summed up from the actions, a panel per dim.

    seconds: float[T]; measured: float[T, P]; integrated: {name: float[T, P]}.

    Returns the figure.
    """
    colours = [style.ONE_STEP, style.FLOW, style.GAUSSIAN]
    fig, axes = style.figure(1, len(names), size=(3.3, 2.6), squeeze=False)
    for d, (ax, name) in enumerate(zip(axes[0], names, strict=True)):
        ax.plot(seconds, measured[:, d], color=style.INK, lw=2.4, label="measured")
        for colour, (how, path) in zip(colours, integrated.items(), strict=False):
            ax.plot(seconds, path[:, d], color=colour, lw=1.3, label=how)
        ax.set(title=name, xlabel="seconds")
    axes[0, 0].legend(fontsize=8, frameon=False)
    return fig


def clocks(late: list, spacing, fps: float):
    """How far every episode's clock runs from its frame numbers, and the time between frames.

    late: list of float[T], in frames; spacing: float[N], in seconds.

    Returns the figure.
    """
    fig, (left, right) = style.figure(1, 2, size=(4.4, 2.8))
    for one in late:
        left.plot(np.arange(len(one)) / fps, one, color=style.DATA, lw=0.8, alpha=0.5)
    left.set(
        xlabel="frame number / fps, in seconds",
        ylabel="frames",
        title="clock x fps − frame number, per episode",
    )
    right.hist(spacing, bins=80, color=style.DATA)
    right.axvline(1 / fps, color=style.INK, lw=1)
    right.set(
        xlabel="seconds from one frame to the next",
        ylabel="frames (log)",
        yscale="log",
        title="spacing; the line is 1 / fps",
    )
    return fig


def scales(cases: dict):
    """What three formulas make of a dim: thick from the 1 % to the 99 % quantile, thin to the ends.

    cases: {title: {mode: (min, q01, q99, max)}}, normalised values.

    Returns the figure.
    """
    fig, axes = style.figure(len(cases), 1, size=(8.5, 1.25), sharex=True, squeeze=False)
    for ax, (title, modes) in zip(axes[:, 0], cases.items(), strict=True):
        for row, (mode, (low, q01, q99, high)) in enumerate(modes.items()):
            ax.plot([low, high], [row, row], color=MODES[mode], lw=1.5, marker="|", ms=9)
            ax.plot([q01, q99], [row, row], color=MODES[mode], lw=7, solid_capstyle="butt")
        ax.axvspan(-1, 1, color=style.FAINT, zorder=0)
        ax.set(yticks=range(len(modes)), yticklabels=list(modes), ylim=(len(modes) - 0.4, -0.6))
        ax.set_xscale("symlog", linthresh=1, linscale=1.5)
        ax.set_title(title, loc="left", fontsize=10)
    ax.set_xlabel("normalised value (linear inside ±1, logarithmic outside); grey: −1 to 1")
    return fig


def bars(values: dict, xlabel: str):
    """Horizontal bars with their numbers. values: {name: number}. Returns the figure."""
    fig, ax = style.figure(size=(7, 0.3 * len(values) + 1.0))
    ax.barh(list(values), list(values.values()), color=style.REGRESSION)
    for row, value in enumerate(values.values()):
        side = 4 if value >= 0 else -4
        ax.annotate(
            f"{value:.1f}",
            (value, row),
            (side, 0),
            textcoords="offset points",
            va="center",
            ha="left" if value >= 0 else "right",
            fontsize=9,
        )
    ax.axvline(0, color=style.INK, lw=1)
    ax.margins(x=0.12)
    ax.invert_yaxis()
    ax.set_xlabel(xlabel)
    return fig


def timelines(rows: list, fps: float, labels=("open", "closed")):
    """A line of colour per episode, shortest first: blue where the gripper is closed.

    rows: list of bool[T], or of float[T] that are 0 or 1.
    labels: what 0 and 1 mean

    Returns the figure.
    """
    rows = sorted(rows, key=len)
    picture = np.full((len(rows), max(map(len, rows))), np.nan)
    for line, values in zip(picture, rows, strict=True):
        line[: len(values)] = values
    fig, ax = style.figure(size=(8.5, min(0.6 + 0.035 * len(rows) + 0.8, 4)))
    extent = (0, picture.shape[1] / fps, len(rows), 0)
    look = dict(cmap=ListedColormap([style.FAINT, style.DATA]), vmin=0, vmax=1)
    ax.imshow(picture, aspect="auto", extent=extent, interpolation="nearest", **look)
    ends = [len(row) / fps for row in rows]
    ax.stairs(ends, range(len(rows) + 1), orientation="horizontal", color=style.INK, lw=0.8)
    ax.set(xlabel="seconds", ylabel="episode, shortest first")
    looks = [dict(fc=colour, ec=style.INK) for colour in (style.FAINT, style.DATA)]
    handles = [Patch(label=label, **look) for label, look in zip(labels, looks, strict=True)]
    ax.legend(handles=handles, loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


def futures(moments: list, names: list, fps: float):
    """What other demonstrators did next, from nearly the same observation; the mean is thick.

    moments: list of (title, {dim: float[K, H]}, upper bool[K]); names: the dims, a row of panels
    each.

    Returns the figure.
    """
    fig, axes = style.figure(
        len(names), len(moments), size=(3.2, 2.0), sharex=True, sharey="row", squeeze=False
    )
    for column, (title, curves, upper) in zip(axes.T, moments, strict=True):
        column[0].set_title(title, fontsize=10)
        for ax, name in zip(column, names, strict=True):
            values = curves[name]
            seconds = np.arange(values.shape[1]) / fps
            for one, is_upper in zip(values, upper, strict=True):
                colour = style.DATA if is_upper else style.FLOW
                ax.plot(seconds, one, color=colour, lw=0.9, alpha=0.75)
            ax.plot(seconds, values.mean(0), color=style.REGRESSION, lw=2.6, label="their mean")
        column[-1].set_xlabel("seconds ahead")
    for ax, name in zip(axes[:, 0], names, strict=True):
        ax.set_ylabel(name)
    axes[0, 0].legend(fontsize=8, frameon=False)
    fig.get_layout_engine().set(
        rect=(0.03, 0, 0.97, 1)
    )  # shared axes hide the names' width from it
    return fig


def intervals(rows: dict, xlabel: str, line: float | None = None, what: str = ""):
    """A dot and its interval per row. rows: {name: (mean, low, high)}; line: a value to compare
    with, named `what`.

    Returns the figure.
    """
    fig, ax = style.figure(size=(7.5, 0.5 * len(rows) + 1.1))
    for row, (mean, low, high) in enumerate(rows.values()):
        ax.plot([low, high], [row, row], color=style.DATA, lw=2.5)
        ax.plot(mean, row, "o", color=style.DATA, ms=8)
        ax.annotate(
            f"{mean:.0%}" if mean >= 0.1 else f"{mean:.1%}",
            (mean, row),
            (0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    if line is not None:
        ax.axvline(line, color=style.INK, lw=1, ls="--", label=what)
        ax.legend(fontsize=8, frameon=False, loc="lower right")
    ax.set(yticks=range(len(rows)), yticklabels=list(rows), xlabel=xlabel)
    ax.set(ylim=(len(rows) - 0.4, -0.8), xlim=(0, None))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return fig


def motion(seconds, curves: dict):
    """Curves over time, each divided by its largest value. Returns the figure."""
    fig, ax = style.figure(size=(8.5, 2.4))
    for colour, (name, values) in zip(COLOURS, curves.items(), strict=False):
        ax.plot(seconds, np.asarray(values) / np.max(values), color=colour, lw=1.4, label=name)
    ax.set(xlabel="seconds", yticks=[0, 1])
    ax.legend(fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return fig
