"""Notebook 02's pictures: whom a place could belong to, three ways to the same field, where a
network is off, and what loss remains.
"""

import torch

from minipi0.plots import style

LIMIT = 3.0


def posterior(x, panels):
    """A panel per moment: every action, darker and larger the likelier the line through x leads
    there, and the weighted mean arrow.

    x: (2,). panels: [(tau, actions (N, 2), weights (N,), velocity (2,))]. Arrows are drawn at half
    their length. Returns the figure.
    """
    fig, axes = style.figure(1, len(panels), size=(3.3, 3.5), sharey=True)
    for ax, (tau, actions, weights, velocity) in zip(axes, panels, strict=True):
        share = weights / weights.max()
        ax.scatter(*actions.T, s=3, color=style.NOISE, alpha=0.5)
        ax.scatter(*actions.T, s=4 + 20 * share, color=style.DATA, alpha=share.clamp(0, 1).numpy())
        ax.quiver(
            *x,
            *(velocity / 2),
            color=style.FLOW,
            angles="xy",
            scale_units="xy",
            scale=1,
            width=0.014,
            zorder=3,
        )
        ax.plot(*x, "o", color=style.PATH, ms=6, zorder=4)
        effective = (1 / (weights**2).sum()).item()
        ax.set_title(rf"$\tau$ = {tau:g}: {effective:,.0f} of {len(actions):,} still in play")
    return _window(fig, axes)


def fields(grid, velocities: dict, title: str):
    """A panel per way of getting the field, arrows at a quarter of their length.

    grid: (P, 2); velocities: {name: (P, 2)}, NaN: unknown.
    """
    fig, axes = style.figure(1, len(velocities), size=(3.5, 3.7), sharey=True)
    colours = (style.NOISE, style.DATA, style.FLOW)
    for ax, (name, v), colour in zip(axes, velocities.items(), colours, strict=True):
        ax.quiver(
            *grid.T, *(v / 4).T, color=colour, angles="xy", scale_units="xy", scale=1, width=0.006
        )
        ax.set_title(name)
    fig.suptitle(title, fontsize=11)
    fig.get_layout_engine().set(h_pad=0.1)
    return _window(fig, axes)


def error_map(errors: dict, density: dict):
    """How far the learned field is off over the plane, a panel per tau, and within which lines the
    points of the path lie.

    errors: {tau: (G, G)}, rows along y, over the window. density: {tau: (log density (G, G), log
    density of points (N,))}. Returns the figure.
    """
    fig, axes = style.figure(1, len(errors), size=(3.0, 3.1), sharey=True)
    for ax, (tau, error) in zip(axes, errors.items(), strict=True):
        image = ax.imshow(
            error,
            origin="lower",
            extent=(-LIMIT, LIMIT) * 2,
            cmap="magma_r",
            norm="log",
            vmin=0.02,
            vmax=5,
        )
        on_grid, at_points = density[tau]
        line = torch.linspace(-LIMIT, LIMIT, len(on_grid))
        levels = at_points.quantile(
            torch.tensor([0.01, 0.5], dtype=at_points.dtype)
        )  # 99 % and 50 % of the points are inside
        ax.contour(
            line,
            line,
            on_grid,
            levels.tolist(),
            colors=style.FLOW,
            linewidths=(0.8, 1.8),
            linestyles="solid",
        )
        ax.set_title(rf"$\tau$ = {tau:g}")
    for share, width in ((99, 0.8), (50, 1.8)):
        axes[0].plot([], [], color=style.FLOW, lw=width, label=f"{share} % of the points")
    fig.legend(loc="outside lower center", ncols=2)
    fig.colorbar(image, ax=axes, label="|learned − exact|", shrink=0.8)
    return _window(fig, axes)


def loss_by_tau(fine, irreducible, total: float, taus, trained, low, high):
    """The loss no network can remove against tau, the trained loss with its interval, and the
    targets' whole variance.

    fine, irreducible: (F,). taus, trained, low, high: (T,). Returns the figure.
    """
    fig, ax = style.figure(size=(5.6, 3.9))
    ax.axhline(total, color=style.NOISE, ls="--", label="variance of the targets, A − ε")
    ax.fill_between(
        fine, irreducible, total, color=style.FLOW, alpha=0.15, lw=0, label="explained by the field"
    )
    ax.plot(
        fine, irreducible, color=style.DATA, label="irreducible: posterior variance, closed form"
    )
    bars = [trained - low, high - trained]
    ax.errorbar(
        taus,
        trained,
        bars,
        fmt="o",
        color=style.ONE_STEP,
        ms=4,
        capsize=3,
        label="trained networks' loss",
    )
    ax.set(
        xlabel=r"$\tau$", ylabel="loss per dimension", xlim=(-0.02, 1.02), ylim=(0, 1.15 * total)
    )
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def endpoints(panels: dict, data, start=None, most: int = 600):
    """Where samples end, a panel per method, over the data, at most `most` points each.

    panels: {title: (N, 2)}. start: the noise, in a panel of its own. Returns the figure.
    """
    panels = panels if start is None else {"noise": start} | panels
    fig, axes = style.figure(1, len(panels), size=(3.1, 3.4), sharey=True)
    for ax, (title, points) in zip(axes, panels.items(), strict=True):
        ax.scatter(*data[:most].T, s=3, color=style.DATA, alpha=0.25, label="data")
        ax.scatter(*points[:most].T, s=3, color=style.ONE_STEP, alpha=0.5, label="samples")
        ax.set_title(title)
    handles, labels = axes[0].get_legend_handles_labels()
    for handle in fig.legend(
        handles, labels, loc="outside lower center", ncols=2, markerscale=3
    ).legend_handles:
        handle.set_alpha(1)
    return _window(fig, axes)


def _window(fig, axes):
    for ax in axes:
        ax.set(
            xlim=(-LIMIT, LIMIT),
            ylim=(-LIMIT, LIMIT),
            aspect="equal",
            xticks=range(-3, 4),
            yticks=range(-3, 4),
        )
    return fig
