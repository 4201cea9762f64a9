"""Notebook 10's pictures: what the robot did, what the models predict, scores, attention."""

import numpy as np
from matplotlib.colors import TwoSlopeNorm

from minipi0.plots import style
from minipi0.plots.shared import picture

COLOURS = {
    "Gaussian": style.GAUSSIAN,
    "regression": style.REGRESSION,
    "one step": style.ONE_STEP,
    "flow": style.FLOW,
}


def colour_of(name: str) -> str:
    """The colour of a model by what its name says; every figure of the notebook uses the same."""
    return next(colour for key, colour in COLOURS.items() if key in name)


def actions_over_time(episodes, names, fps: float):
    """Recorded actions of a few episodes, an axis per action.

    episodes: list of float[T, D]
    names: D strings

    Returns the figure.
    """
    columns = 4
    fig, axes = style.figure(-(-len(names) // columns), columns, size=(2.7, 1.8), squeeze=False)
    for d, ax in enumerate(axes.flat):
        if d >= len(names):
            ax.axis("off")
            continue
        for actions in episodes:
            ax.plot(np.arange(len(actions)) / fps, actions[:, d], lw=1, alpha=0.8, color=style.DATA)
        ax.set_title(names[d])
    for ax in axes[-1]:
        ax.set_xlabel("seconds")
    return fig


def losses(curves: dict):
    """Training losses, smoothed over 25 steps, an axis each: they measure different things.

    curves: {name: list of losses}

    Returns the figure.
    """
    fig, axes = style.figure(1, len(curves), size=(4.2, 2.8), squeeze=False)
    for ax, (name, values) in zip(axes[0], curves.items(), strict=True):
        width = min(25, len(values))
        smooth = np.convolve(values, np.full(width, 1 / width), mode="valid")
        ax.plot(np.arange(len(smooth)) + width, smooth, color=colour_of(name))
        what = "velocity" if "flow" in name else "action"
        ax.set(xlabel="training step", ylabel=f"squared error of the {what}", ylim=(0, None))
        ax.set_title(name)
    return fig


def intervals(scores: dict, xlabel: str):
    """A dot and its interval per model.

    scores: {name: (mean, low, high)}

    Returns the figure.
    """
    fig, ax = style.figure(size=(7, 0.55 * len(scores) + 1.0))
    above = dict(xytext=(0, 7), textcoords="offset points", ha="center", fontsize=9)
    for row, (name, (mean, low, high)) in enumerate(scores.items()):
        ax.plot([low, high], [row, row], color=colour_of(name), lw=2.5)
        ax.plot(mean, row, "o", color=colour_of(name), ms=8)
        ax.annotate(f"{mean:.3f}", (mean, row), **above)
    ax.set_yticks(range(len(scores)), list(scores))
    ax.set(xlabel=xlabel, xlim=(0, None), ylim=(len(scores) - 0.4, -0.7))
    return fig


def fans(panels, names, dims, fps: float):
    """Predicted chunks over the demonstrated ones, a row per model, a column per pair.

    panels: {model: [(samples float[M, H, D], actions float[H, D]), ...]}, normalised
    names: D strings
    dims: which action to draw, one per column

    Returns the figure.
    """
    shape = dict(sharex=True, sharey="col", squeeze=False)
    fig, axes = style.figure(len(panels), len(dims), size=(2.9, 2.0), **shape)
    for row, (name, pairs) in zip(axes, panels.items(), strict=True):
        for ax, (samples, actions), d in zip(row, pairs, dims, strict=True):
            time = np.arange(len(actions)) / fps
            thin = dict(lw=0.8, alpha=0.5) if len(samples) > 1 else dict(lw=1.8)
            ax.plot(time, np.asarray(samples)[:, :, d].T, color=colour_of(name), **thin)
            ax.plot(time, actions[:, d], color=style.INK, lw=1.8, label="demonstrated")
        row[0].set_ylabel(name.replace(", ", "\n").replace(" + ", "\n+ "))
    for ax, d in zip(axes[0], dims, strict=True):
        ax.set_title(f"{names[d]} (normalised)")
    for ax in axes[-1]:
        ax.set_xlabel("seconds ahead")
    axes[0, -1].legend(fontsize=8, loc="best")
    return fig


def histograms(predictions: dict, demonstrated, low: float, high: float, title: str):
    """Where predicted values of one action lie, beside the demonstrated ones, and the share of them
    between `low` and `high`.

    predictions: {name: float[N] in [0, 1]}
    demonstrated: float[N] in [0, 1]
    low, high: the bounds of the values that nobody demonstrated

    Returns the figure.
    """
    size = dict(size=(2.3, 2.3), sharex=True, sharey=True)
    fig, axes = style.figure(1, 1 + len(predictions), **size)
    bins = np.linspace(-0.3, 1.3, 33)
    panels = {"demonstrated": demonstrated} | predictions
    for ax, (name, values) in zip(axes, panels.items(), strict=True):
        colour = style.DATA if name == "demonstrated" else colour_of(name)
        ax.axvspan(low, high, color=style.FAINT)
        values = np.clip(np.asarray(values), bins[0], bins[-1])
        between = np.mean((values > low) & (values < high))
        ax.text((low + high) / 2, 0.5, f"{between:.0%}", ha="center", va="center", fontsize=9)
        ax.hist(values, bins, weights=np.full(len(values), 1 / len(values)), color=colour)
        ax.set_title(name.replace(", ", "\n"), fontsize=9)
        ax.set(xticks=[0, 1], xticklabels=["open", "closed"], yscale="log", ylim=(1e-4, 1))
    axes[0].set_ylabel("share of steps (log)")
    fig.suptitle(title, fontsize=11)
    return fig


def attention_on_frames(images, maps, titles):
    """Camera frames above, the action tokens' attention to their patches below.

    images: float[N, 3, S, S] in [-1, 1]
    maps: float[N, rows, columns], 1 where attention is as if spread evenly
    titles: N strings

    Returns the figure.
    """
    fig, axes = style.figure(2, len(images), size=(1.9, 1.9), squeeze=False)
    top = max(1.5, float(np.asarray(maps).max()))
    for column, image, attention, title in zip(axes.T, images, maps, titles, strict=True):
        frame = picture(image)
        column[0].imshow(frame)
        column[0].set_title(title, fontsize=9)
        column[1].imshow(frame.mean(-1), cmap="gray", vmin=0, vmax=1)
        look = dict(cmap="PuOr_r", alpha=0.55, norm=TwoSlopeNorm(1, 0, top))
        shown = column[1].imshow(attention, extent=(0, len(frame), len(frame), 0), **look)
        for ax in column:
            ax.axis("off")
    fig.colorbar(shown, ax=axes[1].tolist(), label="times an even spread", shrink=0.8)
    return fig


def shares(groups: dict, title: str):
    """Horizontal bars: how the action tokens' attention is shared out.

    groups: {name: share}

    Returns the figure.
    """
    fig, ax = style.figure(size=(6, 0.45 * len(groups) + 0.9))
    ax.barh(list(groups), list(groups.values()), color=style.PATH)
    beside = dict(xytext=(4, 0), textcoords="offset points", va="center", fontsize=9)
    for row, value in enumerate(groups.values()):
        ax.annotate(f"{100 * value:.0f} %", (value, row), **beside)
    ax.invert_yaxis()
    ax.set(xlabel="share of the action tokens' attention", title=title, xlim=(0, 1))
    return fig


def patch_maps(maps: dict):
    """Attention per image patch without the image, as multiples of an even spread.

    maps: {title: float[rows, columns]}, 1 where attention is as if spread evenly

    Returns the figure.
    """
    fig, axes = style.figure(1, len(maps), size=(1.9, 1.9), squeeze=False)
    arrays = {title: np.asarray(attention) for title, attention in maps.items()}
    most = max(1.5, *(array.max() for array in arrays.values()))
    look = dict(cmap=style.DIVERGING_GREY, norm=TwoSlopeNorm(1, 0, most))
    for ax, (title, array) in zip(axes[0], arrays.items(), strict=True):
        shown = ax.imshow(array, **look)
        for (y, x), value in np.ndenumerate(array):
            ax.text(x, y, f"{value:.1f}", ha="center", va="center", fontsize=8, color="black")
        ax.set_title(title, fontsize=9)
        ax.axis("off")
    fig.colorbar(shown, ax=axes[0].tolist(), label="times an even spread", shrink=0.8)
    return fig


def by_steps(scores: dict, rivals: dict):
    """The score of a flow against its number of Euler steps, with the scores of other models.

    scores: {steps: (mean, low, high)}; rivals: {name: mean}. Returns the figure.
    """
    fig, ax = style.figure(size=(6, 3.4))
    steps = list(scores)
    mean, low, high = np.array(list(scores.values())).T
    ax.fill_between(steps, low, high, color=style.FLOW, alpha=0.15, label="95 % over episodes")
    ax.plot(steps, mean, "o-", color=style.FLOW, label="flow")
    for name, value in rivals.items():
        ax.axhline(value, color=colour_of(name), ls="--", label=name)
    ax.set(xscale="log", xticks=steps, xticklabels=steps, xlabel="Euler steps")
    ax.set(ylabel="energy score", ylim=(0, None), title="how many steps are worth taking")
    ax.minorticks_off()
    ax.legend(fontsize=8, loc="lower left")
    return fig


def ablation(losses: dict, intact: float):
    """The held-out loss with one input broken at a time.

    losses: {what was broken: loss}; intact: the loss with everything as recorded. Returns the
    figure.
    """
    fig, ax = style.figure(size=(7, 0.42 * len(losses) + 1.0))
    ax.barh(list(losses), list(losses.values()), color=style.PATH)
    ax.axvline(intact, color=style.INK, lw=1)
    ax.annotate("as recorded", (intact, -0.5), (3, 0), textcoords="offset points", fontsize=8)
    for row, value in enumerate(losses.values()):
        text = f"{value / intact - 1:+.0%}"
        ax.annotate(text, (value, row), (4, 0), textcoords="offset points", va="center", fontsize=9)
    ax.invert_yaxis()
    ax.set(xlabel="held-out loss", xlim=(0, 1.15 * max(losses.values())))
    return fig


def by_episodes(counts, curves: dict):
    """The score against the number of demonstrations that were trained on.

    counts: n numbers of episodes; curves: {name: n lists of scores, one per training seed}.
    Returns the figure.
    """
    fig, ax = style.figure(size=(6, 3.4))
    for name, scores in curves.items():
        colour = colour_of(name)
        ax.plot(counts, [np.mean(seeds) for seeds in scores], "-", color=colour, label=name)
        for count, seeds in zip(counts, scores, strict=True):
            ax.plot([count] * len(seeds), seeds, ".", color=colour, ms=7)
    ax.set(xscale="log", xticks=counts, xticklabels=counts, xlabel="episodes trained on")
    ax.set(ylabel="energy score, held out", ylim=(0, None), title="a dot is one training")
    ax.minorticks_off()
    ax.legend(fontsize=8, loc="lower left")
    return fig
