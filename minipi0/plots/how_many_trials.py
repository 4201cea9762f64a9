"""Notebook 11's pictures of luck and of what was measured: intervals, peeking, a plan, success."""

import numpy as np
from matplotlib.patches import Circle, Rectangle
from matplotlib.ticker import PercentFormatter
from scipy import stats

from minipi0 import planning
from minipi0.intervals import success_interval
from minipi0.plots import style

METHODS = {
    "exact": (style.DATA, "-"),
    "Wilson": (style.FLOW, "-"),
    "naive": (style.REGRESSION, "-"),
}


def interval_by_count(n: int, methods: dict):
    """The interval of every possible number of successes.

    methods: {name: function (k, n) -> (low, high)}. Returns the figure.
    """
    fig, ax = style.figure(size=(7.2, 3.6))
    for shift, (name, interval) in zip((-0.2, 0, 0.2), methods.items(), strict=False):
        low, high = np.array([interval(k, n) for k in range(n + 1)]).T
        colour = METHODS[name][0]
        ax.vlines(np.arange(n + 1) + shift, low, high, color=colour, lw=4, label=name)
    look = dict(color=style.INK, mec="white", ms=5.5, mew=0.8, zorder=3)
    ax.plot(range(n + 1), np.arange(n + 1) / n, "o", label="observed rate", **look)
    ax.axhspan(1, 1.12, color=style.FAINT, zorder=0)
    ax.axhspan(-0.12, 0, color=style.FAINT, zorder=0)
    ax.set(xlabel=f"successes in {n} trials", ylabel="success rate", xticks=range(n + 1))
    ax.set(ylim=(-0.12, 1.12), title="95 % intervals (grey: no rate can be there)")
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(loc="lower right", fontsize=9)
    return fig


def coverage(rates, exact: dict, simulated: dict, level: float = 0.95):
    """How often the interval holds the true rate.

    rates: [R]. exact: {n: {name: [R]}}. simulated: {n: {name: (rates, shares)}}.
    Returns the figure.
    """
    fig, axes = style.figure(1, len(exact), size=(4.6, 3.5), sharey=True, squeeze=False)
    for ax, (n, curves) in zip(axes[0], exact.items(), strict=True):
        ax.axhline(level, color=style.INK, lw=0.8, ls=":")
        for name, values in curves.items():
            ax.plot(rates, values, METHODS[name][1], color=METHODS[name][0], lw=1.2, label=name)
            ax.plot(*simulated[n][name], "o", color=METHODS[name][0], ms=4)
        ax.set(title=f"{n} trials", xlabel="true success rate", ylim=(0.3, 1.02))
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes[0, 0].set_ylabel("intervals that hold it")
    axes[0, -1].legend(loc="lower center", fontsize=9)
    return fig


def needed_trials(p1: float, differences, correlations):
    """Trials per policy over the difference p1 - p2, a curve per correlation.

    A curve ends where no two policies are that alike. Returns the figure.
    """
    fig, ax = style.figure(size=(6.4, 3.8))
    shades = (style.NOISE, style.PATH, style.DATA)
    for rho, colour in zip(correlations, shades, strict=False):
        possible = [d for d in differences if rho <= planning.correlations(p1, p1 - d)[1]]
        counts = [planning.needed(p1, p1 - d, rho) for d in possible]
        name = f"same starts, correlation {rho:g}" if rho else "other starts"
        ax.loglog(100 * np.array(possible), counts, color=colour, lw=2.2, label=name)
    ax.axhline(10, color=style.INK, lw=0.8, ls=":")
    ax.annotate("10 trials", (100 * min(differences), 10), (2, 4), textcoords="offset points")
    ax.set(xticks=(ticks := [2, 5, 10, 20, 40]), xticklabels=[f"{t}" for t in ticks])
    ax.set(yticks=(ticks := [10, 30, 100, 300, 1000, 3000]), yticklabels=[f"{t}" for t in ticks])
    ax.minorticks_off()
    ax.set(xlabel=f"difference in points, below {100 * p1:.0f} %", ylabel="trials of each policy")
    ax.set_title("to find the difference in 80 % of all comparisons")
    ax.legend(fontsize=9)
    return fig


def peeking(looks, p_values, false_alarms: dict):
    """Two equal policies, tested again and again.

    looks: int[L], trials so far. p_values: [E, L], an experiment a row; those with an alarm are
        drawn in colour.
    false_alarms: {rule: share of experiments with an alarm}. Returns the figure.
    """
    fig, (left, right) = style.figure(1, 2, size=(4.9, 3.4))
    alarmed = (p_values < 0.05).any(1)
    for p, alarm in zip(p_values, alarmed, strict=True):
        stop = (p < 0.05).argmax() if alarm else len(p) - 1
        colour = style.REGRESSION if alarm else style.NOISE
        left.semilogy(looks, p, color=colour, lw=0.8, alpha=0.35)
        left.semilogy(looks[: stop + 1], p[: stop + 1], color=colour, lw=1.2 if alarm else 0.8)
        if alarm:
            left.plot(looks[stop], p[stop], "o", color=colour, ms=5)
    left.axhline(0.05, color=style.INK, lw=1, ls="--")
    left.set(xlabel="trials of each policy so far", ylabel="p-value now", ylim=(0.003, 1.3))
    left.set(yticks=[0.01, 0.05, 0.2, 1], yticklabels=["0.01", "0.05", "0.2", "1"])
    left.minorticks_off()
    left.set_title(f"{alarmed.sum()} of {len(alarmed)} comparisons would have stopped")
    names = list(false_alarms)
    colours = [style.REGRESSION if false_alarms[n] > 0.06 else style.FLOW for n in names]
    right.barh(names, list(false_alarms.values()), color=colours)
    for row, value in enumerate(false_alarms.values()):  # beside its bar and the line
        at = (max(value, 0.05) if value > 0.02 else value, row)
        right.annotate(f"{value:.1%}", at, (6, 0), textcoords="offset points", va="center")
    right.axvline(0.05, color=style.INK, lw=1, ls="--", zorder=0)
    right.invert_yaxis()
    right.set(title='"one is better", though they are equal', xlim=(0, 0.3))
    right.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return fig


def plan(p1: float, p2: float, n: int, correlation: float = 0.0):
    """What n trials each of two policies with these rates will show. Returns the figure.

    It is the static twin of widgets.TrialPlanner.
    """
    fig, (left, right) = style.figure(1, 2, size=(4.8, 3.4))
    ahead, level, behind = planning.who_wins(p1, p2, n, correlation)
    for i, (p, colour) in enumerate(((p1, style.FLOW), (p2, style.ONE_STEP))):
        k = np.arange(n + 1)
        width = 0.44 / n
        shift = (i - 0.5) * width
        chance = stats.binom.pmf(k, n, p)
        left.bar(k / n + shift, chance, width, color=colour, label=f"policy {i + 1}: {p:.0%}")
    left.set(xlabel=f"share of {n} trials that succeed", ylabel="probability", xlim=(-0.02, 1.05))
    left.set_title(f"1 ahead {ahead:.0%}, level {level:.0%}, 2 ahead {behind:.0%}", fontsize=10)
    left.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    left.legend(fontsize=9, loc="upper left")
    counts = np.geomspace(5, 1000, 80)
    for rho, colour, line, name in (
        (0.0, style.NOISE, "--", "other starts"),
        (
            correlation,
            style.DATA,
            "-",
            f"same starts, correlation {correlation:g}" if correlation else "other starts",
        ),
    )[0 if correlation else 1 :]:
        right.semilogx(
            counts,
            [planning.power(p1, p2, c, rho) for c in counts],
            line,
            color=colour,
            lw=2,
            label=name,
        )
    found = planning.power(p1, p2, n, correlation)
    right.plot(n, found, "o", color=style.DATA, ms=8)
    right.axhline(0.8, color=style.INK, lw=0.8, ls=":")
    half = planning.half_width(p1, p2, n, correlation)
    right.set_title(
        f"found in {found:.0%}; difference {100 * (p1 - p2):.0f} ± {100 * half:.0f} points",
        fontsize=10,
    )
    right.set(xticks=(ticks := [5, 10, 30, 100, 300, 1000]), xticklabels=[f"{t}" for t in ticks])
    right.minorticks_off()
    right.set(
        xlabel="trials of each policy", ylabel="chance to find the difference", ylim=(0, 1.03)
    )
    right.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    right.legend(fontsize=9, loc="best")
    return fig


def course(paths, outcomes):
    """Paths of the exercises' point robot round the disc, failures in colour.

    paths: lists of positions, one per trial. outcomes: bools. Returns the figure.
    """
    fig, ax = style.figure(size=(6.4, 2.6))
    ax.add_patch(Circle((0, 0), 0.4, **style.OBSTACLE))
    for path, success in zip(paths, outcomes, strict=True):
        path = np.array(path)
        ax.plot(*path.T, color=style.FLOW if success else style.REGRESSION, lw=1.2, alpha=0.8)
        ax.plot(*path[-1], "o" if success else "X", color=style.INK, ms=4)
    ax.set(xlim=(-2.2, 3.2), ylim=(-1.3, 1.3), aspect="equal")
    ax.set_title(f"{sum(outcomes)} of {len(outcomes)} arrive (crosses: time over)")
    return fig


def colour_of(name: str) -> str:
    """The colour of a condition by what its name says."""
    named = {
        "noise": style.GAUSSIAN,
        "regression": style.REGRESSION,
        "1 step": style.ONE_STEP,
        "ensemble": style.REGRESSION,
        "naive": style.ONE_STEP,
    }
    return next((colour for key, colour in named.items() if key in name), style.FLOW)


def success(outcomes: dict, counts=(10, 100), what: str = "success rate"):
    """Success rates and exact intervals after the first trials, a panel per count.

    outcomes: {name: bools, one per trial}. what: they say. Returns the figure.
    """
    most = max(counts)
    titles = {n: f"first {n} trials" if n < most else f"{n} trials" for n in counts}
    first = {titles[n]: {name: happened[:n] for name, happened in outcomes.items()} for n in counts}
    return rates(first, what)


def rates(panels: dict, what: str = "success rate"):
    """Success rates and exact intervals, the same names in every panel.

    panels: {title: {name: bools, one per trial}}. what: they say. Returns the figure.
    """
    names = list(next(iter(panels.values())))
    size = (8.8 / len(panels), 0.36 * len(names) + 1.0)
    fig, axes = style.figure(1, len(panels), size=size, sharey=True, squeeze=False)
    for ax, (title, outcomes) in zip(axes[0], panels.items(), strict=True):
        for row, name in enumerate(names):
            happened = outcomes[name]
            rate, low, high = success_interval(sum(happened), len(happened), "exact")
            ax.plot([low, high], [row, row], color=colour_of(name), lw=2.5)
            ax.plot(rate, row, "o", color=colour_of(name), ms=8)
        ax.set(yticks=range(len(names)), yticklabels=names, xlim=(-0.02, 1.02), title=title)
        ax.set(xlabel=f"{what}, exact 95 % interval")
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes[0, 0].set(ylim=(len(names) - 0.6, -0.4))
    return fig


def curves(lines: dict, xlabel: str, title: str = ""):
    """Success over an option, with exact intervals.

    lines: {name: {value of the option: bools, one per trial}}. Returns the figure.
    """
    fig, ax = style.figure(size=(5.6, 3.2))
    values = sorted({value for points in lines.values() for value in points})
    for i, (name, points) in enumerate(lines.items()):
        found = [success_interval(sum(h), len(h), "exact") for h in points.values()]
        rate, low, high = np.array(found).T
        error = [rate - low, high - rate]
        colour = colour_of(name)
        x = np.array(list(points)) + 0.012 * i * max(values)  # intervals side by side
        ax.errorbar(x, rate, error, fmt="o-", color=colour, capsize=3, label=name)
    ax.set(xticks=values)
    ax.set(xlabel=xlabel, ylabel="success rate", ylim=(-0.02, 1.02), title=title)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    if len(lines) > 1:
        ax.legend(fontsize=9)
    return fig


def hand_paths(panels: dict, centre, half):
    """The hand's paths at the wall from above, failures in colour.

    panels: {title: (paths, each [T, 2] in metres, bools)}. centre, half: of the wall, in metres.
    Returns the figure.
    """
    ahead = np.concatenate([path[:, 1] for paths, _ in panels.values() for path in paths])
    size = (2.3, 1.2 + 3 * np.ptp(ahead))  # the plane is drawn to scale
    fig, axes = style.figure(1, len(panels), size=size, sharey=True, squeeze=False)
    for ax, (title, (paths, outcomes)) in zip(axes[0], panels.items(), strict=True):
        corner = np.subtract(centre[:2], half[:2])
        ax.add_patch(Rectangle(corner, 2 * half[0], 2 * half[1], **style.OBSTACLE))
        for path, fine in zip(paths, outcomes, strict=True):
            ax.plot(*path.T, color=style.FLOW if fine else style.REGRESSION, lw=1, alpha=0.75)
        ax.set(xlim=(-0.3, 0.3), aspect="equal", xlabel="m", xticks=(-0.2, 0, 0.2))
        ax.set_title(f"{title}\n{sum(outcomes)} of {len(outcomes)} succeed", fontsize=9)
    axes[0, 0].set_ylabel("m ahead")
    return fig


def against_success(panels: dict, rates, intervals, steps):
    """Checkpoints of a training: success over each measure.

    panels: {xlabel: values [C]}. rates: [C]. intervals: (low [C], high [C]). steps: [C], of
    training, in this order; written beside the first, the lowest and the last. Returns the figure.
    """
    fig, axes = style.figure(1, len(panels), size=(4.2, 3.4), sharey=True, squeeze=False)
    error = [np.subtract(rates, intervals[0]), np.subtract(intervals[1], rates)]
    for ax, (xlabel, values) in zip(axes[0], panels.items(), strict=True):
        ax.errorbar(values, rates, error, fmt="o", color=style.FLOW, ecolor=style.NOISE, capsize=2)
        ax.plot(values, rates, color=style.FLOW, lw=1)
        for i in (0, int(np.argmin(values)), len(steps) - 1):
            text = f"{steps[i]:,} steps"
            place = dict(textcoords="offset points", ha="center", fontsize=8.5)
            ax.annotate(text, (values[i], rates[i]), (0, 26) if i else (36, -4), **place)
        ax.set(xlabel=xlabel)
        ax.margins(x=0.18)  # room for the labels of the outermost points
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes[0, 0].set(ylabel="success rate", ylim=(0.5, 1.02))
    return fig


def chunk_lengths(found: dict):
    """Success over the executed actions, a colour per chunk length, a point per training.

    found: {length: {executed actions: [bools, one per trial; of every training]}}. Returns the
    figure. The intervals are exact, of one training's trials.
    """
    fig, ax = style.figure(size=(6.4, 3.4))
    looks = zip("sD^o", (style.INK, style.DATA, style.FLOW, style.GAUSSIAN), strict=True)
    for i, (length, (marker, colour)) in enumerate(zip(sorted(found), looks, strict=True)):
        executed = sorted(found[length])
        for j in range(max(map(len, found[length].values()))):
            happened = [found[length][k][j] for k in executed if j < len(found[length][k])]
            rate, low, high = np.array(
                [success_interval(sum(h), len(h), "exact") for h in happened]
            ).T
            x = np.array(executed[: len(happened)]) * 1.05 ** (2 * i + j - 3.5)  # side by side
            label = f"{length} predicted" if j == 0 else None
            error = [rate - low, high - rate]
            ax.errorbar(x, rate, error, fmt=marker + "-", color=colour, capsize=2, label=label)
    ax.set(xscale="log", ylim=(-0.02, 1.05), ylabel="success rate")
    ax.set(xlabel="executed actions before the policy looks again")
    ax.set_xticks([1, 4, 8, 16, 32], ["1", "4", "8", "16", "32"])
    ax.minorticks_off()
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(loc="lower left", fontsize=9)
    return fig
