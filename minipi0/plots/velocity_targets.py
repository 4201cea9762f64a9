"""Notebook 02's pictures: whom a place could belong to, the field three ways, what loss remains."""

import torch
from matplotlib.patheffects import withStroke

from minipi0.plots import style


def posterior(x, panels):
    """A panel per tau: every action, darker the likelier its line passes x, and the mean arrow.

    x: float[2]
    panels: [(tau, actions float[N, 2], weights float[N], velocity float[2])]

    Arrows are drawn at half their length. Returns the figure.
    """
    fig, axes = style.figure(1, len(panels), size=(3.3, 3.5), sharey=True)
    arrow = dict(color=style.FLOW, width=0.014, zorder=3, **style.IN_PLANE)
    for ax, (tau, actions, weights, velocity) in zip(axes, panels, strict=True):
        share = weights / weights.max()
        ax.scatter(*actions.T, s=3, color=style.NOISE, alpha=0.5)
        ax.scatter(*actions.T, s=4 + 20 * share, color=style.DATA, alpha=share.clamp(0, 1).numpy())
        ax.quiver(*x, *(velocity / 2), **arrow)
        ax.plot(*x, "o", color=style.PATH, ms=6, zorder=4)
        effective = (1 / (weights**2).sum()).item()
        ax.set_title(rf"$\tau$ = {tau:g}: {effective:,.0f} of {len(actions):,} still in play")
    return _window(fig, axes)


def fields(grid, velocities: dict, title: str):
    """A panel per path to the same field, its arrows at a quarter of their length.

    grid: float[P, 2]
    velocities: {name: float[P, 2]}, NaN where unknown

    Returns the figure.
    """
    fig, axes = style.figure(1, len(velocities), size=(3.5, 3.7), sharey=True)
    colours = (style.NOISE, style.DATA, style.FLOW)
    for ax, (name, v), colour in zip(axes, velocities.items(), colours, strict=True):
        ax.quiver(*grid.T, *(v / 4).T, color=colour, width=0.006, **style.IN_PLANE)
        ax.set_title(name)
    fig.suptitle(title, fontsize=11)
    fig.get_layout_engine().set(h_pad=0.1)
    return _window(fig, axes)


def error_map(errors: dict, density: dict):
    """How far the learned field is off over the plane, and where the points of the path lie.

    errors: {tau: float[G, G]}, rows along y, over the window; a panel each
    density: {tau: (log density float[G, G], log density of points float[N])}

    Returns the figure.
    """
    fig, axes = style.figure(1, len(errors), size=(3.0, 3.1), sharey=True)
    limit, widths = style.CLOSE, (0.8, 1.8)
    look = dict(extent=(-limit, limit) * 2, cmap="magma_r", norm="log", vmin=0.02, vmax=5)
    for ax, (tau, error) in zip(axes, errors.items(), strict=True):
        image = ax.imshow(error, origin="lower", **look)
        on_grid, at_points = density[tau]
        line = torch.linspace(-limit, limit, len(on_grid))
        # 99 % and 50 % of the points lie inside
        levels = at_points.quantile(torch.tensor([0.01, 0.5], dtype=at_points.dtype)).tolist()
        lines = dict(colors=style.FLOW, linewidths=widths, linestyles="solid")
        drawn = ax.contour(line, line, on_grid, levels, **lines)
        drawn.set_path_effects([withStroke(linewidth=widths[-1] + 1.6, foreground="white")])
        ax.set_title(rf"$\tau$ = {tau:g}")
    for share, width in zip((99, 50), widths, strict=True):
        axes[0].plot([], [], color=style.FLOW, lw=width, label=f"{share} % of the points")
    fig.legend(loc="outside lower center", ncols=2)
    fig.colorbar(image, ax=axes, label="|learned − exact|", shrink=0.8)
    return _window(fig, axes)


def loss_by_tau(fine, irreducible, total: float, taus, trained, low, high):
    """The loss no network can remove, the trained loss with its interval, the targets' variance.

    fine, irreducible: float[F], tau and the closed form there
    total: the targets' whole variance
    taus, trained, low, high: float[T]

    Returns the figure.
    """
    fig, ax = style.figure(size=(7.2, 4.2))
    ax.axhline(total, color=style.NOISE, ls="--", label="variance of the targets, A − ε")
    area = dict(color=style.FLOW, alpha=0.15, lw=0)
    ax.fill_between(fine, irreducible, total, label="explained by the field", **area)
    closed = "irreducible: posterior variance, closed form"
    ax.plot(fine, irreducible, color=style.DATA, label=closed)
    dots = dict(fmt="o", color=style.ONE_STEP, ms=4, capsize=3, label="trained networks' loss")
    ax.errorbar(taus, trained, [trained - low, high - trained], **dots)
    ax.set(xlabel=r"$\tau$", ylabel="loss per dimension")
    ax.set(xlim=(-0.02, 1.02), ylim=(0, 1.15 * total))
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def endpoints(panels: dict, data, start=None):
    """Where samples end, a panel per method, over the data; at most 600 points each.

    panels: {title: float[N, 2]}
    data: float[N, 2]
    start: float[N, 2], the noise, in a panel of its own

    Returns the figure.
    """
    panels = panels if start is None else {"noise": start} | panels
    fig, axes = style.figure(1, len(panels), size=(3.1, 3.4), sharey=True)
    for ax, (title, points) in zip(axes, panels.items(), strict=True):
        ax.scatter(*data[:600].T, s=3, color=style.DATA, alpha=0.25, label="data")
        ax.scatter(*points[:600].T, s=3, color=style.ONE_STEP, alpha=0.5, label="samples")
        ax.set_title(title)
    entries = axes[0].get_legend_handles_labels()
    legend = fig.legend(*entries, loc="outside lower center", ncols=2, markerscale=3)
    for handle in legend.legend_handles:
        handle.set_alpha(1)
    return _window(fig, axes)


def _window(fig, axes):
    for ax in axes:
        style.square(ax, style.CLOSE, **style.TICKS)
    return fig
