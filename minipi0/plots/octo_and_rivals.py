"""Notebook 08's pictures: two ways to put noise into a policy, one family, what was measured."""

import numpy as np
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.ticker import PercentFormatter

from minipi0.intervals import success_interval
from minipi0.plots import style
from minipi0.plots.shared import pooled

LOOKS = {  # a colour is a family, a marker one method of it
    "pi0's expert": (style.FLOW, "o"),
    "Octo's diffusion head": (style.DATA, "s"),
    "Octo's head, estimate cut": (style.DATA, "P"),
    "flow head on the readout": (style.PATH, "^"),
    "two-step policy": (style.ONE_STEP, "v"),
    "L2 regression": (style.REGRESSION, "X"),
    "L1 regression": (style.REGRESSION, "D"),
    "L2 regression + noise": (style.GAUSSIAN, "*"),
}
RIM = dict(mec="white", mew=0.7)  # parts markers that overlap


def two_designs(octo: dict, pi0: dict):
    """Who sees whom in the transformer, and what runs how often.

    octo, pi0: milliseconds: {"pass": of what runs once, "step": of what runs again and again,
        "steps": how often}.
    Returns the figure.
    """
    fig, axes = style.figure(2, 2, size=(5.6, 1.9), height_ratios=[1.15, 1])
    suffixes = {
        "Octo": [("state", style.STATE, 1), ("readout", style.ACTION, 1)],
        "π0": [("state", style.STATE, 1), ("noisy actions", style.ACTION, 6)],
    }
    for ax, (name, suffix) in zip(axes[0], suffixes.items(), strict=True):
        x = 0.0
        for label, colour, count in [("images", style.IMAGE, 5), ("words", style.TEXT, 4), *suffix]:
            for i in range(count):
                ax.add_patch(Rectangle((x + i + 0.08, 0), 0.84, 0.84, color=colour, lw=0))
            ax.text(x + count / 2, 1.0, label, ha="center", va="bottom", fontsize=9)
            x += count + {"words": 0.6, "state": 0.9}.get(label, 0)
        if name == "Octo":
            ax.add_patch(Rectangle((14.2, -0.2), 2.6, 1.25, facecolor="none", edgecolor=style.INK))
            ax.text(15.5, 0.42, "head", ha="center", va="center")
            ax.text(15.5, 1.75, "noisy chunk in, noise out", ha="center", va="bottom", fontsize=9)
            _arrow(ax, (12.5, 0.42), (14.1, 0.42))
            _arrow(ax, (16.2, -0.25), (14.8, -0.25), curve=-0.9)
            ax.text(15.5, -1.15, f"{octo['steps']} times", ha="center", va="top", fontsize=9)
        else:
            _arrow(ax, (x - 0.4, -0.15), (x - 5.6, -0.15), curve=-0.25)
            ax.text(x - 3, -1.15, f"{pi0['steps']} times", ha="center", va="top", fontsize=9)
        ax.set(xlim=(-0.3, 18), ylim=(-1.9, 2.3), title=name)
        ax.axis("off")
    longest = max(octo["chunk"], pi0["chunk"])
    for ax, cost, colour in ((axes[1, 0], octo, style.DATA), (axes[1, 1], pi0, style.FLOW)):
        steps = cost["steps"]
        ax.barh(0, cost["pass"], color=style.NOISE, edgecolor="white")
        starts = cost["pass"] + cost["step"] * np.arange(steps)
        ax.barh([0] * steps, [cost["step"]] * steps, left=starts, color=colour, edgecolor="white")
        end = cost["chunk"]
        ax.annotate(f"{end:.1f} ms", (end, 0), (4, 0), textcoords="offset points", va="center")
        ax.set(xlim=(0, 1.25 * longest), ylim=(-0.9, 0.9), yticks=[])
        ax.set(xlabel="ms of CPU for one chunk (grey: what runs once)")
        ax.spines["left"].set_visible(False)
    return fig


def family(taus, clocks: dict, densities: dict):
    """Where a schedule's steps stand on flow matching's line, and which tau is trained how often.

    taus: [T]. clocks: {name: tau of every step}. densities: {name: [T]}. Returns the figure.
    """
    fig, (left, right) = style.figure(1, 2, size=(4.9, 3.2))
    left.semilogy(taus, (taus / (1 - taus)) ** 2, color=style.INK, lw=1)
    looks = ((style.DATA, "o"), (style.FLOW, "s"))
    for row, ((name, at), (colour, marker)) in enumerate(zip(clocks.items(), looks, strict=False)):
        at = np.asarray(at)
        inside = at > taus[0]
        ratio = (at[inside] / (1 - at[inside])) ** 2
        left.semilogy(at[inside], ratio, marker, color=colour, ms=5, label=name)
        left.plot(at, [2e-6 * 4**row] * len(at), "|", color=colour, ms=9)
    left.set(xlabel=r"$\tau$", title="signal to noise, $(\\tau / (1-\\tau))^2$", ylim=(1e-6, 1e6))
    left.legend(fontsize=9, loc="upper left")
    looks = (style.FLOW, style.PATH, style.ONE_STEP, style.DATA)
    for (name, density), colour in zip(densities.items(), looks, strict=False):
        right.plot(taus, density, color=colour, lw=2, label=name)
    right.set(xlabel=r"$\tau$", title="how often it is trained", ylim=(0, None), xlim=(0, 1))
    right.legend(fontsize=9)
    return fig


def noise_errors(taus, errors):
    """What a trained head's error of the noise would be as an error of the velocity.

    taus, errors: [20], of every noise level. Returns the figure.
    """
    fig, ax = style.figure(size=(5.6, 3.2))
    taus, errors = np.asarray(taus), np.asarray(errors)
    ax.loglog(taus, errors, "o-", color=style.DATA, label="of the noise, as predicted")
    ax.loglog(taus, errors / taus, "s-", color=style.REGRESSION, label="of the velocity, from it")
    ax.set(xlabel=r"$\tau$", title="error on held-out chunks (root mean square)")
    ax.set_xticks(ticks := [0.003, 0.01, 0.03, 0.1, 0.3, 0.9], [f"{t:g}" for t in ticks])
    ax.minorticks_off()
    ax.legend(fontsize=9)
    return fig


def success(panels: dict):
    """A panel per scene: every method's success, all its seeds together, with Wilson's interval.

    panels: {title: {method: [(successes, trials) per training seed]}}. Small dots are the seeds.
    Returns the figure.
    """
    names = list(dict.fromkeys(name for rows in panels.values() for name in rows))
    fig, axes = style.figure(
        1, len(panels), size=(3.6, 0.42 * len(names) + 1.0), squeeze=False, sharey=True
    )
    for ax, (title, rows) in zip(axes[0], panels.items(), strict=True):
        for name, counts in rows.items():
            y, (colour, marker) = names.index(name), LOOKS[name]
            rate, low, high = pooled(counts)
            ax.hlines(y, low, high, color=colour, lw=2.5)
            ax.plot(rate, y, marker, color=colour, ms=_size(marker), **RIM)
            if len(counts) > 1:
                ax.plot([k / n for k, n in counts], [y + 0.28] * len(counts), ".", color=colour)
        ax.set(title=title, xlim=(-0.03, 1.03), xlabel="success")
        ax.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return fig


def against_cost(points: dict):
    """Success and energy score over the cost of a chunk.

    points: {method: (milliseconds, (successes, trials), energy score)}. Returns the figure.
    """
    fig, (left, right) = style.figure(1, 2, size=(4.9, 3.4))
    for name, (cost, counts, score) in points.items():
        colour, marker = LOOKS[name]
        rate, low, high = success_interval(*counts)
        look = dict(color=colour, ms=_size(marker), **RIM)
        left.vlines(cost, low, high, color=colour, lw=1.5)
        left.plot(cost, rate, marker, **look)
        right.plot(cost, score, marker, label=name, **look)
    for ax in (left, right):
        ax.set(xscale="log", xlabel="ms of CPU for one chunk")
        ticks = [t for t in (1, 2, 3, 5, 7, 10, 15, 20, 30) if ax.get_xlim()[0] < t]
        ticks = [t for t in ticks if t < ax.get_xlim()[1]]
        ax.set_xticks(ticks, [f"{t}" for t in ticks])
        ax.minorticks_off()
    left.set(ylim=(-0.03, 1.03), title="success, short runway")
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    right.set(title="energy score of held-out chunks (low is good)")
    fig.legend(loc="outside lower center", ncols=4, fontsize=9)
    return fig


def over_steps(panels: dict):
    """Held-out energy scores over Euler steps.

    panels: {title: {name: {steps: [a score per held-out episode]}}}; the band is the standard error
        of the difference to the curve's lowest point, episode by episode.
    Returns the figure.
    """
    fig, axes = style.figure(1, len(panels), size=(4.9, 3.3), squeeze=False)
    looks = (style.FLOW, style.PATH, style.ONE_STEP, style.DATA)
    for ax, (title, curves) in zip(axes[0], panels.items(), strict=True):
        for (name, curve), colour in zip(curves.items(), looks, strict=False):
            steps, scores = list(curve), np.array(list(curve.values()))  # (steps, episodes)
            means = scores.mean(1)
            error = (scores - scores[means.argmin()]).std(1) / scores.shape[1] ** 0.5
            ax.plot(steps, means, "o-", color=colour, label=name)
            ax.fill_between(steps, means - error, means + error, color=colour, alpha=0.2, lw=0)
        ax.set(xscale="log", title=title, xlabel="Euler steps")
        ax.set_xticks(steps, [f"{s}" for s in steps])
        ax.minorticks_off()
        ax.legend(fontsize=9)
    axes[0, 0].set_ylabel("energy score of held-out chunks")
    return fig


def who_passes_where(untold: dict[str, list], nearest: float):
    """The demonstrations whose words leave the side open, by how far from the wall they start.

    untold: {which demonstrations: [[runway in m, -1 for left or 1 for right], …]}. nearest: runways
        below it, in metres, are the ones that matter for the short runway; shaded.
    Returns the figure.
    """
    fig, ax = style.figure(size=(8.2, 0.75 * len(untold) + 1.1))
    sides = ((-1, "past the left", style.FLOW, "<"), (1, "past the right", style.REGRESSION, ">"))
    for row, pairs in enumerate(untold.values()):
        for side, name, colour, marker in sides:
            x = [100 * runway for runway, s in pairs if s == side]
            y = [row + 0.14 * side] * len(x)
            ax.plot(x, y, marker, color=colour, ms=6, label=name if row == 0 else None)
    ax.axvspan(9.5, 100 * nearest, color=style.NOISE, alpha=0.25, lw=0)
    ax.set_yticks(range(len(untold)), [f"{name} demonstrations" for name in untold])
    ax.set(ylim=(len(untold) - 0.5, -0.5), xlim=(9.5, 30.5), xlabel="runway, cm")
    fig.legend(loc="outside upper center", ncols=2)
    return fig


def _size(marker: str) -> int:
    return {"*": 14, "X": 10, "P": 10}.get(marker, 8)


def _arrow(ax, start, end, curve: float = 0.0) -> None:
    look = dict(arrowstyle="-|>", mutation_scale=12, color=style.INK, lw=1.2, clip_on=False)
    ax.add_patch(FancyArrowPatch(start, end, connectionstyle=f"arc3,rad={curve}", **look))
