"""Notebook 12's pictures: parameters, memory, the mask at full size, time, successors.

`groups` is a list of (name, number of tokens, colour, real?), in the order of the sequence.
"""

import numpy as np
import torch
from matplotlib.colors import to_rgba

from minipi0.plots import style
from minipi0.plots.shared import cells

PARTS = {"images": style.IMAGE, "prefix": style.TEXT, "action passes": style.ACTION}


def parameters(parts: dict, colours: list[str]):
    """A bar per part of the model, with its share of the parameters.

    parts: {name: parameters}

    Returns the figure.
    """
    fig, ax = style.figure(size=(7.5, 2.6))
    total = sum(parts.values())
    for y, (count, colour) in enumerate(zip(parts.values(), colours, strict=True)):
        millions, text = count / 1e6, f"{count / 1e6:,.0f} M, {count / total:.1%}"
        ax.barh(y, millions, color=colour)
        ax.text(millions + 15, y, text, va="center", fontsize=9)
    ax.set_yticks(range(len(parts)), parts)
    ax.invert_yaxis()
    ax.set(xlabel="million parameters", title=f"{total:,} parameters")
    ax.set_xlim(0, 1.22 * max(parts.values()) / 1e6)
    return fig


def memory(rows: dict, cards: dict):
    """How much memory each use of the model takes, beside what cards have.

    rows: {what is done: {what it holds: GB}}
    cards: {a card: its GB}, drawn as lines

    Returns the figure.
    """
    fig, ax = style.figure(size=(9.0, 0.55 * len(rows) + 1.5))
    palette = (style.IMAGE, style.REGRESSION, style.STATE, style.ACTION)
    kinds = ("weights", "gradients", "Adam's moments", "average (EMA)")
    left = np.zeros(len(rows))
    for kind, colour in zip(kinds, palette, strict=True):
        sizes = np.array([holds.get(kind, 0.0) for holds in rows.values()])
        ax.barh(range(len(rows)), sizes, left=left, color=colour, height=0.6, label=kind)
        left += sizes
    for y, total in enumerate(left):
        ax.text(total + 0.8, y, f"{total:.1f} GB", va="center", fontsize=9)
    for name, size in cards.items():
        ax.axvline(size, color=style.INK, ls=":", lw=1)
        ax.text(size, -0.75, name, ha="center", va="bottom", fontsize=8)
    ax.set_yticks(range(len(rows)), rows)
    ax.set(ylim=(len(rows) - 0.5, -0.7), xlim=(0, 1.08 * max(cards.values())))
    ax.set_xlabel("GB, before activations")
    ax.legend(fontsize=8, ncols=5, loc="upper center", bbox_to_anchor=(0.42, -0.28))
    return fig


def mask(allowed, positions, groups):
    """The attention mask to scale and with a cell per group, and the tokens' positions beside it.

    allowed: bool[T, T], rows are queries, columns keys; an allowed cell has its key's colour
    positions: int[T]

    Returns the figure.
    """
    ratios = {"width_ratios": [1, 1, 1.05]}
    fig, (left, middle, right) = style.figure(1, 3, size=(3.6, 3.7), gridspec_kw=ratios)
    allowed, positions = np.asarray(allowed), np.asarray(positions)
    edges = np.cumsum([0, *(count for _, count, _, _ in groups)])
    colours = np.array([to_rgba(colour) for _, _, colour, _ in groups])
    names = [name for name, *_ in groups]
    blocks = allowed[np.ix_(edges[:-1], edges[:-1])]  # inside a block all tokens may do the same
    by_token = np.repeat(colours, np.diff(edges), axis=0)
    left.imshow(np.where(allowed[..., None], by_token[None], style.FAINT), interpolation="nearest")
    cells(middle, np.where(blocks[..., None], colours[None], style.FAINT), pixels=60)
    for ax in (left, middle):
        ax.tick_params(length=0, labelsize=9)
        ax.spines[:].set_visible(False)
    ticks = [edge for edge in edges if edge % 256 == 0]
    left.set_xticks(ticks, ticks)
    left.set_yticks([*ticks, edges[-1]], [*ticks, edges[-1]])
    left.set(title="who may attend to whom, to scale", xlabel="key (token)", ylabel="query (token)")
    turned = dict(rotation=40, ha="right", rotation_mode="anchor")
    middle.set_xticks(range(len(groups)), names, **turned)
    middle.set_yticks(range(len(groups)), [f"{name}, {count}" for name, count, *_ in groups])
    middle.set(title="the same, a cell per group", xlabel="key (a cell has its colour)")
    _positions(right, positions, edges, groups)
    return fig


def _positions(ax, positions, edges, groups):
    for start, (name, count, colour, real) in zip(edges, groups, strict=False):
        token = np.arange(start, start + count)
        width, line = (3, "-") if real else (1.5, ":")
        ax.plot(token, positions[token], color=colour, lw=width, ls=line, solid_capstyle="butt")
        if not real:
            continue
        beside = dict(xytext=(9, -3), va="top")
        if name == "text":
            beside = dict(xytext=(-9, 3), ha="right")
        middle = (start + count / 2, positions[token].mean())
        ax.annotate(name, middle, textcoords="offset points", fontsize=9, **beside)
    ax.plot([], [], color=style.PADDING, ls=":", label="masked or padding: no count")
    ax.set(title="positions", xlabel="token", ylabel="position")
    ax.set(xlim=(0, 1.25 * edges[-1]), ylim=(-5, None))
    ax.legend(fontsize=8, loc="upper left")


def time_split(shares: dict, by_steps: dict):
    """Where the time goes: shares of the whole, and milliseconds against Euler steps.

    shares: {name: (images, prefix, passes)}
    by_steps: {steps: (images, prefix, passes)}, in seconds

    Returns the figure.
    """
    ratios = {"width_ratios": [1.25, 1]}
    fig, (left, right) = style.figure(1, 2, size=(4.7, 3.2), gridspec_kw=ratios)
    table = np.array(list(shares.values()))
    percent = 100 * table / table.sum(1, keepdims=True)  # (names, parts)
    start = np.zeros(len(shares))
    for (part, colour), share in zip(PARTS.items(), percent.T, strict=True):
        left.barh(range(len(shares)), share, left=start, color=colour, height=0.6, label=part)
        dark = dict(color="black" if colour == style.TEXT else "white", fontsize=9)
        for y, (x, width) in enumerate(zip(start, share, strict=True)):
            left.text(x + width / 2, y, f"{width:.0f} %", ha="center", va="center", **dark)
        start += share
    left.set_yticks(range(len(shares)), shares)
    left.invert_yaxis()
    left.set(title="shares of one sample, ten steps", xlabel="%")
    left.legend(fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.4, -0.2))
    steps = list(by_steps)
    parts = 1e3 * np.array(list(by_steps.values())).T  # (3, steps)
    right.stackplot(steps, parts, colors=PARTS.values(), labels=PARTS)
    right.plot(steps, parts.sum(0), "o", color=style.INK, ms=4)
    right.set(title="this machine, small model", ylim=(0, None), xticks=steps)
    right.set(xlabel="Euler steps", ylabel="milliseconds")
    return fig


def chunks(previous, panels: dict, frozen: int, free_from: int):
    """New chunks over the one that runs, a panel per entry.

    previous: float[H], what the last chunk says from now on
    panels: {title: float[N, H]}
    frozen: actions that are executed before the new chunk is there
    free_from: where the previous chunk has no say any more

    Returns the figure.
    """
    fig, axes = style.figure(1, len(panels), size=(4.6, 3.0), sharey=True)
    step, colours = np.arange(len(previous)), (style.ONE_STEP, style.FLOW)
    old = dict(color=style.DATA, lw=3, label="the previous chunk")
    for ax, (title, new), colour in zip(axes, panels.items(), colours, strict=True):
        ax.axvspan(-0.5, frozen - 0.5, color=style.FAINT, lw=0, label="executed meanwhile")
        ax.plot(step, torch.as_tensor(new).T, color=colour, lw=0.8, alpha=0.6)
        ax.plot([], [], color=colour, label="new chunks")
        ax.plot(step[:free_from], previous[:free_from], **old)
        ax.set(title=title, xlabel="control step from now")
    axes[0].set_ylabel("action")
    axes[0].legend(fontsize=8, loc="center right")
    return fig


def modes(samples, data):
    """The capstone's samples over its data.

    samples, data: float[N, 2]

    Returns the figure.
    """
    fig, ax = style.figure(size=(4.4, 3.2))
    ax.scatter(*data.T, s=4, color=style.DATA, alpha=0.3, lw=0, label="data")
    ax.scatter(*samples.T, s=4, color=style.FLOW, alpha=0.5, lw=0, label="your samples")
    ax.set(xlabel="action, dim 1", ylabel="dim 2", aspect="equal")
    ax.legend(fontsize=8, markerscale=3)
    return fig
