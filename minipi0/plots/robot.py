"""Notebook 10's pictures: what the robot saw and did, what the models predict, how they score,
where the actions look.
"""

import numpy as np

from minipi0.plots import style

COLOURS = {
    "flow": style.FLOW,
    "one step": style.ONE_STEP,
    "regression": style.REGRESSION,
    "Gaussian": style.GAUSSIAN,
}


def colour_of(name: str) -> str:
    """The colour of a model by what its name says; every figure of the notebook uses the same."""
    return next(
        COLOURS[key] for key in ("Gaussian", "regression", "one step", "flow") if key in name
    )


def frames(images, titles):
    """Camera frames in a row.

    images: (N, 3, S, S) in [-1, 1]; titles: N strings. Returns the figure.
    """
    fig, axes = style.figure(1, len(images), size=(1.7, 1.9), squeeze=False)
    for ax, image, title in zip(axes[0], images, titles, strict=True):
        ax.imshow(np.asarray(image).transpose(1, 2, 0) / 2 + 0.5)
        ax.set_title(title, fontsize=9)
        ax.axis("off")
    return fig


def actions_over_time(episodes, names, fps: float):
    """Recorded actions of a few episodes, an axis per action.

    episodes: list of (T, D); names: D strings. Returns the figure.
    """
    columns = 4
    rows = -(-len(names) // columns)
    fig, axes = style.figure(rows, columns, size=(2.7, 1.8), squeeze=False)
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


def losses(curves: dict, window: int = 25):
    """Training losses, smoothed over `window` steps.

    curves: {name: list of losses}. Returns the figure.
    """
    fig, ax = style.figure(size=(6, 3.2))
    for name, values in curves.items():
        smooth = np.convolve(values, np.ones(window) / window, mode="valid")
        ax.plot(np.arange(len(smooth)) + window, smooth, color=colour_of(name), label=name)
    ax.set(
        xlabel="training step",
        ylabel="loss",
        title="two losses that measure different things",
        ylim=(0, None),
    )
    ax.legend()
    return fig


def intervals(scores: dict, xlabel: str, title: str = ""):
    """A dot and its interval per model. scores: {name: (mean, low, high)}. Returns the figure."""
    fig, ax = style.figure(size=(7, 0.55 * len(scores) + 1.0))
    for row, (name, (mean, low, high)) in enumerate(scores.items()):
        ax.plot([low, high], [row, row], color=colour_of(name), lw=3, alpha=0.5)
        ax.plot(mean, row, "o", color=colour_of(name), ms=8)
        ax.annotate(
            f"{mean:.3f}", (mean, row), (0, 7), textcoords="offset points", ha="center", fontsize=9
        )
    ax.set(
        yticks=range(len(scores)),
        yticklabels=list(scores),
        xlabel=xlabel,
        title=title,
        xlim=(0, None),
        ylim=(len(scores) - 0.4, -0.7),
    )
    return fig


def fans(panels, names, dims, fps: float):
    """Predicted chunks over the demonstrated ones.

    panels: {row title: [(samples (M, H, D), actions (H, D)), …]}, normalised, a column per pair and
    one line of panels per model; `dims`, one per column, says which action is drawn. Returns the
    figure.
    """
    rows, columns = len(panels), len(dims)
    fig, axes = style.figure(
        rows, columns, size=(2.9, 2.0), sharex=True, sharey="col", squeeze=False
    )
    for row, (name, pairs) in zip(axes, panels.items(), strict=True):
        for ax, (samples, actions), d in zip(row, pairs, dims, strict=True):
            time = np.arange(len(actions)) / fps
            thin = dict(lw=0.8, alpha=0.5) if len(samples) > 1 else dict(lw=1.8)
            ax.plot(time, np.asarray(samples)[:, :, d].T, color=colour_of(name), **thin)
            ax.plot(time, actions[:, d], "k", lw=1.8, label="demonstrated")
        row[0].set_ylabel(name.replace(", ", "\n").replace(" + ", "\n+ "))
    for ax, d in zip(axes[0], dims, strict=True):
        ax.set_title(f"{names[d]} (normalised)")
    for ax in axes[-1]:
        ax.set_xlabel("seconds ahead")
    axes[0, -1].legend(fontsize=8, loc="best")
    return fig


def histograms(predictions: dict, demonstrated, low: float, high: float, title: str):
    """Where predicted values of one action lie, beside the demonstrated ones.

    predictions: {name: (N,)}; low and high bound the no-man's-land. Values in [0, 1]. Returns the
    figure.
    """
    fig, axes = style.figure(1, 1 + len(predictions), size=(2.3, 2.3), sharex=True, sharey=True)
    bins = np.linspace(-0.3, 1.3, 33)
    for ax, (name, values) in zip(
        axes, {"demonstrated": demonstrated, **predictions}.items(), strict=True
    ):
        colour = style.DATA if name == "demonstrated" else colour_of(name)
        ax.axvspan(low, high, color="0.92")
        values = np.clip(values, bins[0], bins[-1])
        ax.hist(values, bins, weights=np.full(len(values), 1 / len(values)), color=colour)
        ax.set_title(name.replace(", ", "\n"), fontsize=9)
        ax.set(xticks=[0, 1], xticklabels=["open", "closed"], yscale="log", ylim=(1e-4, 1))
    axes[0].set_ylabel("share of steps (log)")
    fig.suptitle(title, fontsize=11)
    return fig


def looked_at(images, maps, titles):
    """Camera frames above, attention on their patches below.

    images: (N, 3, S, S) in [-1, 1]; maps: (N, rows, columns) attention that the action tokens give
    to each patch. Returns the figure.
    """
    fig, axes = style.figure(2, len(images), size=(1.9, 1.9), squeeze=False)
    top = float(np.asarray(maps).max())
    for column, image, attention, title in zip(axes.T, images, maps, titles, strict=True):
        picture = np.asarray(image).transpose(1, 2, 0) / 2 + 0.5
        column[0].imshow(picture)
        column[0].set_title(title, fontsize=9)
        size = picture.shape[0]
        column[1].imshow(picture.mean(-1), cmap="gray", alpha=0.5)
        shown = column[1].imshow(
            attention, cmap="viridis", alpha=0.7, vmin=0, vmax=top, extent=(0, size, size, 0)
        )
        for ax in column:
            ax.axis("off")
    fig.colorbar(shown, ax=axes[1].tolist(), label="attention per patch", shrink=0.8)
    return fig


def shares(groups: dict, title: str):
    """Horizontal bars: how attention is shared out. groups: {name: share}. Returns the figure."""
    fig, ax = style.figure(size=(6, 0.45 * len(groups) + 0.9))
    ax.barh(list(groups), list(groups.values()), color=style.PATH)
    for row, value in enumerate(groups.values()):
        ax.annotate(
            f"{100 * value:.0f} %",
            (value, row),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    ax.invert_yaxis()
    ax.set(xlabel="share of the action tokens' attention", title=title, xlim=(0, 1))
    return fig


def patch_maps(maps: dict):
    """Attention per image patch without the image.

    maps: {title: (rows, columns)}. Returns the figure.
    """
    fig, axes = style.figure(1, len(maps), size=(1.9, 1.9), squeeze=False)
    top = max(float(np.asarray(attention).max()) for attention in maps.values())
    for ax, (title, attention) in zip(axes[0], maps.items(), strict=True):
        shown = ax.imshow(attention, cmap="viridis", vmin=0, vmax=top)
        ax.set_title(title, fontsize=9)
        ax.axis("off")
    fig.colorbar(shown, ax=axes[0].tolist(), label="share of the look", shrink=0.8)
    return fig
