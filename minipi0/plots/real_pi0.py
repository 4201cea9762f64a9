"""Notebook 12's pictures: parameters, memory, tokens and mask at full size, what actions look at,
time, chunks of successors.

`groups` is a list of (name, number of tokens, colour, real?), in the order of the sequence.
"""

import numpy as np
import torch
from matplotlib.colors import LogNorm, to_rgb

from minipi0.plots import style

IMAGE, TEXT, STATE, ACTION, PADDING = (
    style.DATA,
    style.PATH,
    style.ONE_STEP,
    style.FLOW,
    style.NOISE,
)
PARTS = {"images": IMAGE, "prefix": TEXT, "action passes": ACTION}


def parameters(parts: dict, colours: list[str]):
    """parts: {name: parameters}, a bar each with its share. Returns the figure."""
    fig, ax = style.figure(size=(7.5, 2.6))
    total = sum(parts.values())
    for y, (count, colour) in enumerate(zip(parts.values(), colours, strict=True)):
        ax.barh(y, count / 1e6, color=colour)
        ax.text(
            count / 1e6 + 15,
            y,
            f"{count / 1e6:,.0f} M, {count / total:.1%}",
            va="center",
            fontsize=9,
        )
    ax.set_yticks(range(len(parts)), parts)
    ax.invert_yaxis()
    ax.set(
        xlabel="million parameters",
        title=f"{total:,} parameters",
        xlim=(0, 1.22 * max(parts.values()) / 1e6),
    )
    return fig


def memory(rows: dict, cards: dict):
    """rows: {what is done: {what it holds: GB}}; cards: {a card: its GB}, drawn as lines.

    Returns the figure.
    """
    fig, ax = style.figure(size=(9.0, 0.55 * len(rows) + 1.5))
    colours = {
        "weights": IMAGE,
        "gradients": style.REGRESSION,
        "Adam's moments": STATE,
        "average (EMA)": ACTION,
    }
    for y, holds in enumerate(rows.values()):
        left = 0.0
        for name, size in holds.items():
            ax.barh(y, size, left=left, color=colours[name], height=0.6)
            left += size
        ax.text(left + 0.8, y, f"{left:.1f} GB", va="center", fontsize=9)
    for name, size in cards.items():
        ax.axvline(size, color="0.4", ls=":", lw=1)
        ax.text(size, -0.75, name, ha="center", va="bottom", fontsize=8, color="0.35")
    for name in dict.fromkeys(name for holds in rows.values() for name in holds):
        ax.barh(0, 0, color=colours[name], label=name)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_ylim(len(rows) - 0.5, -0.7)
    ax.set_xlim(0, 1.08 * max(cards.values()))
    ax.set_xlabel("GB, before activations")
    ax.legend(fontsize=8, ncols=5, loc="upper center", bbox_to_anchor=(0.42, -0.28))
    return fig


def mask(allowed, positions, groups):
    """Who may look at whom, (T, T) bool, in the colour of the token looked at: to scale, and a cell
    per group. Positions (T,) beside it.
    """
    fig, (left, middle, right) = style.figure(
        1, 3, size=(4.3, 4.1), gridspec_kw={"width_ratios": [1, 1, 1.05]}
    )
    allowed, positions = np.asarray(allowed), np.asarray(positions)
    edges = np.cumsum([0, *(count for _, count, _, _ in groups)])
    colours = np.array([to_rgb(colour) for _, _, colour, _ in groups])
    names = [f"{name}, {count}" for name, count, _, _ in groups]
    blocks = allowed[np.ix_(edges[:-1], edges[:-1])]  # inside a block all tokens may do the same
    for ax, cells, tint in (
        (left, allowed, np.repeat(colours, np.diff(edges), axis=0)),
        (middle, blocks, colours),
    ):
        ax.imshow(np.where(cells[..., None], tint[None], 0.95), interpolation="nearest")
        for edge in edges[1:-1] if ax is left else range(1, len(groups)):
            ax.axhline(edge - 0.5, color="white", lw=1 if ax is left else 3)
            ax.axvline(edge - 0.5, color="white", lw=1 if ax is left else 3)
        ax.tick_params(length=0, labelsize=9)
        ax.spines[:].set_visible(False)
    ticks = [edge for edge in edges if edge % 256 == 0]
    left.set_xticks(ticks, ticks)
    left.set_yticks([*ticks, edges[-1]], [*ticks, edges[-1]])
    left.set(
        title="who may look at whom, to scale",
        xlabel="is looked at (token)",
        ylabel="looks (token)",
    )
    middle.set_xticks(
        range(len(groups)),
        [name for name, *_ in groups],
        rotation=40,
        ha="right",
        rotation_mode="anchor",
    )
    middle.set_yticks(range(len(groups)), names)
    middle.set(title="the same, a cell per group")
    for start, (name, count, colour, real) in zip(edges, groups, strict=False):
        token = np.arange(start, start + count)
        width, line = (3, "-") if real else (1.5, ":")
        right.plot(token, positions[token], color=colour, lw=width, ls=line, solid_capstyle="butt")
        if real:
            beside = (
                dict(xytext=(9, -3), va="top")
                if name != "text"
                else dict(xytext=(-9, 3), ha="right")
            )
            right.annotate(
                name,
                (start + count / 2, positions[token].mean()),
                textcoords="offset points",
                fontsize=9,
                **beside,
            )
    right.plot([], [], color=PADDING, ls=":", label="masked or padding: no count")
    right.set(
        title="positions",
        xlabel="token",
        ylabel="position",
        xlim=(0, 1.25 * edges[-1]),
        ylim=(-5, None),
    )
    right.legend(fontsize=8, loc="upper left")
    return fig


def attention_rows(panels: dict, groups):
    """Each panel: (S, T) attention of the suffix's tokens relative to an even spread; white is
    exactly zero. Returns the figure.
    """
    fig, axes = style.figure(len(panels), 1, size=(10.5, 1.9), squeeze=False, sharex=True)
    edges = np.cumsum([0, *(count for _, count, _, _ in groups)])
    for ax, (title, weights) in zip(axes[:, 0], panels.items(), strict=True):
        weights = np.asarray(weights)
        seen = np.where(weights > 0, weights, np.nan)
        image = ax.imshow(
            seen, aspect="auto", cmap="viridis", norm=LogNorm(0.25, 4), interpolation="nearest"
        )
        for edge in edges[1:-1]:
            ax.axvline(edge - 0.5, color="0.6", lw=0.7)
        ax.set_yticks([0, weights.shape[0] - 1], ["state", f"action {weights.shape[0] - 1}"])
        ax.set(title=title)
    middles = ((edges[:-1] + edges[1:]) / 2).tolist()
    for i in range(len(middles) - 2, -1, -1):  # from the right: labels of narrow groups move aside
        middles[i] = min(middles[i], middles[i + 1] - 0.02 * edges[-1])
    axes[-1, 0].set_xticks(
        middles, [name if count > 100 else f"{name} –" for name, count, *_ in groups], fontsize=9
    )
    for label, (_, count, *_) in zip(axes[-1, 0].get_xticklabels(), groups, strict=True):
        label.set_rotation(0 if count > 100 else 90)
    axes[-1, 0].tick_params(axis="x", length=0)
    bar = fig.colorbar(
        image, ax=axes[:, 0], label="times an even spread", shrink=0.8, extend="both"
    )
    bar.minorticks_off()
    bar.set_ticks([0.25, 0.5, 1, 2, 4], labels=["¼", "½", "1", "2", "4"])
    return fig


def time_split(shares: dict, by_steps: dict, by_horizon: dict):
    """shares: {name: (images, prefix, passes)}; by_steps: {steps: (images, prefix, passes)} in s;
    by_horizon: {name: {H: one pass}}.

    Left: shares of the whole. Middle: time against Euler steps, stacked. Right: one action pass,
    relative to H = 50. Returns the figure.
    """
    fig, (left, middle, right) = style.figure(
        1, 3, size=(4.3, 3.5), gridspec_kw={"width_ratios": [1.25, 1, 1]}
    )
    for y, parts in enumerate(shares.values()):
        start = 0.0
        for part, (label, colour) in zip(parts, PARTS.items(), strict=True):
            share = 100 * part / sum(parts)
            left.barh(
                y, share, left=start, color=colour, height=0.6, label=label if y == 0 else None
            )
            dark = "black" if colour == TEXT else "white"
            left.text(
                start + share / 2,
                y,
                f"{share:.0f} %",
                ha="center",
                va="center",
                fontsize=9,
                color=dark,
            )
            start += share
    left.set_yticks(range(len(shares)), shares)
    left.invert_yaxis()
    left.set(title="shares of one sample, ten steps", xlabel="%")
    left.legend(fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.4, -0.2))
    steps = list(by_steps)
    parts = 1e3 * np.array([by_steps[n] for n in steps]).T  # (3, steps)
    middle.stackplot(steps, parts, colors=PARTS.values(), labels=PARTS)
    middle.plot(steps, parts.sum(0), "o", color="black", ms=4)
    middle.set(
        title="this machine, against steps",
        xlabel="Euler steps",
        ylabel="milliseconds",
        ylim=(0, None),
        xticks=steps,
    )
    for (name, passes), colour, marker in zip(
        by_horizon.items(), ("black", style.GAUSSIAN), "os", strict=True
    ):
        right.plot(
            list(passes),
            [value / passes[50] for value in passes.values()],
            f"{marker}-",
            color=colour,
            ms=4,
            label=name,
        )
    right.plot([0, 100], [0, 2], color="0.6", ls=":", label="in proportion to H")
    right.set(
        title="one action pass, against horizon",
        xlabel="H",
        ylabel="times that of H = 50",
        ylim=(0, None),
    )
    right.legend(fontsize=8)
    return fig


def chunks(previous, panels: dict, frozen: int, free_from: int):
    """previous (H,): what the last chunk says from now on; panels: {title: (N, H) new chunks}.

    Returns the figure.

    frozen: actions that are executed before the new chunk is there; free_from: where the previous
    chunk has no say any more.
    """
    fig, axes = style.figure(1, len(panels), size=(4.6, 3.0), sharey=True)
    step = np.arange(len(previous))
    for ax, (title, new), colour in zip(
        axes, panels.items(), (style.NOISE, style.FLOW), strict=True
    ):
        ax.axvspan(-0.5, frozen - 0.5, color="0.85", lw=0, label="executed meanwhile")
        ax.plot(step, torch.as_tensor(new).T, color=colour, lw=0.8, alpha=0.6)
        ax.plot([], [], color=colour, label="new chunks")
        ax.plot(
            step[:free_from], previous[:free_from], color="black", lw=2, label="the previous chunk"
        )
        ax.set(title=title, xlabel="control step from now")
    axes[0].set_ylabel("action")
    axes[0].legend(fontsize=8, loc="center right")
    return fig


def modes(samples, data):
    """Two clouds of points, (N, 2) each: the capstone's samples over its data.

    Returns the figure.
    """
    fig, ax = style.figure(size=(4.4, 3.2))
    ax.scatter(*torch.as_tensor(data).T, s=4, color=style.DATA, alpha=0.3, lw=0, label="data")
    ax.scatter(
        *torch.as_tensor(samples).T, s=4, color=style.FLOW, alpha=0.5, lw=0, label="your samples"
    )
    ax.set(xlabel="action, dim 1", ylabel="dim 2", aspect="equal")
    ax.legend(fontsize=8, markerscale=3)
    return fig
