"""Notebook 01's pictures: paths from noise to action, what Euler makes of them, crossing lines."""

import torch

from minipi0.plots import style


def transport(path, title: str = ""):
    """Particles in one dimension against tau, with the histograms of where they start and end.

    path: float[steps + 1, N]

    Returns the figure.
    """
    path = torch.as_tensor(path)
    ratios = {"width_ratios": [1, 2.6, 1]}
    fig, axes = style.figure(1, 3, size=(3.0, 3.6), sharey=True, gridspec_kw=ratios)
    left, middle, right = axes
    bins = torch.linspace(path.min().item() - 0.1, path.max().item() + 0.1, 50)
    left.hist(path[0], bins, orientation="horizontal", color=style.NOISE)
    left.invert_xaxis()
    left.set(xlabel="particles", ylabel="x", title="start: noise")
    right.hist(path[-1], bins, orientation="horizontal", color=style.DATA)
    right.set(xlabel="particles", title="end: actions")
    middle.plot(torch.linspace(0, 1, len(path)), path[:, :60], color=style.FLOW, lw=0.8, alpha=0.7)
    middle.set(xlabel=r"$\tau$", title=title, xlim=(0, 1))
    fig.get_layout_engine().set(w_pad=0.1)  # 1.0 of one axis is not to touch 0.0 of the next
    return fig


def two_schedules(paths: dict, velocities: dict, noise, action):
    """Two paths from noise to action with dots at equal steps of tau, and how fast they go.

    paths: {name: float[T, 2]}
    velocities: {name: float[T]}, the velocity's first component
    noise, action: float[2]

    Returns the figure.
    """
    fig, (plane, graph) = style.figure(1, 2, size=(4.6, 3.8))
    looks = ((style.FLOW, "-"), (style.ONE_STEP, "--"))
    for (name, path), (colour, line) in zip(paths.items(), looks, strict=True):
        plane.plot(*path.T, line, color=colour, label=name)
        plane.plot(*path[:: (len(path) - 1) // 10].T, "o", color=colour, ms=4)
        taus = torch.linspace(0, 1, len(velocities[name]))
        graph.plot(taus, velocities[name], line, color=colour, label=name)
    ends = ((noise, r"noise $\epsilon$", style.NOISE), (action, "action $A$", style.DATA))
    for point, name, colour in ends:
        plane.plot(*point, "o", color=colour, ms=10, zorder=4)
        plane.annotate(name, point, (0, -22), textcoords="offset points", ha="center")
    plane.set(aspect="equal", xlabel=r"$x_1$", ylabel=r"$x_2$")
    plane.set_title("where: dots at equal steps of τ")
    plane.margins(0.15, 0.25)
    graph.set(title="how fast: first component of the velocity", xlabel=r"$\tau$", xlim=(0, 1))
    graph.legend(loc="best")
    return fig


def landing_errors(steps, errors: dict):
    """How far from the action Euler lands, against its number of steps, log-log.

    steps: N numbers of steps
    errors: {name: float[N]}

    Returns the figure.
    """
    fig, ax = style.figure(size=(5.2, 3.6))
    looks = (("o-", style.FLOW), ("s-", style.ONE_STEP))
    for (name, error), (line, colour) in zip(errors.items(), looks, strict=True):
        seen = torch.as_tensor(error).clamp(min=1e-17)
        ax.loglog(steps, seen, line, color=colour, label=name)
    ax.axhline(1e-6, color=style.NOISE, lw=1, ls=":")
    above = dict(xytext=(0, 3), textcoords="offset points", ha="right")
    ax.annotate("1e-6", (steps[-1], 1e-6), **above)
    ax.set(xlabel="Euler steps", ylabel="distance from the action", ylim=(1e-17, 1e6))
    ax.set_title("integrating the pair's own velocity")
    ax.legend(loc="upper right")
    return fig


def chunk(chunks, taus, names):
    """One action chunk on its path.

    chunks: float[T, H, D], one per tau
    taus: T numbers
    names: D strings

    Returns the figure.
    """
    fig, axes = style.figure(1, len(taus), size=(2.5, 2.9), sharey=True)
    colours = (style.DATA, style.ONE_STEP, style.GAUSSIAN)
    for ax, actions, tau in zip(axes, chunks, taus, strict=True):
        for d, name in enumerate(names):
            ax.plot(actions[:, d], "o-", ms=3, lw=1.2, color=colours[d], label=name)
        ax.set(title=rf"$\tau$ = {tau:g}", xlabel="step of the chunk")
    axes[0].set_ylabel("normalised action")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(names))
    return fig


def many_lines(noise, actions, crossing):
    """The lines of many noise-action pairs, and two of them that meet at one moment.

    noise, actions: float[N, 2]
    crossing: (noise float[2, 2], actions float[2, 2], where float[2], tau)

    Returns the figure.
    """
    fig, (plane, zoom) = style.figure(1, 2, size=(4.4, 4.2))
    plane.plot(*torch.stack([noise, actions]).permute(2, 0, 1), color=style.PATH, lw=0.6, alpha=0.5)
    plane.plot(*noise.T, "o", color=style.NOISE, ms=3, label="noise")
    plane.plot(*actions.T, "o", color=style.DATA, ms=3, label="actions")
    style.square(plane, style.EXTENT, title=f"{len(noise)} pairs, {len(noise)} lines")
    plane.legend(loc="upper left", ncols=2)
    two_noise, two_actions, where, tau = crossing
    for e, a in zip(two_noise, two_actions, strict=True):
        zoom.plot(*torch.stack([e, a]).T, "--", color=style.PATH, lw=1.2)
        zoom.plot(*e, "o", color=style.NOISE, ms=8)
        zoom.plot(*a, "o", color=style.DATA, ms=8)
    own, name = two_actions - two_noise, "each pair's own velocity"
    arrows = [(own[0], style.PATH, name), (own[1], style.PATH, None)]
    arrows.append((own.mean(0), style.FLOW, "their mean: what is learned"))
    look = dict(width=0.012, zorder=3, **style.IN_PLANE)
    for v, colour, label in arrows:
        zoom.quiver(*where, *(v / 3), color=colour, label=label, **look)
    zoom.set(xlim=(-3, 3), ylim=(-2.4, 3), aspect="equal")
    zoom.set_title(rf"two pairs, one place, one moment: $\tau$ = {tau:g}")
    zoom.legend(loc="upper center")
    return fig


def lines_and_flow(lines, particles):
    """In one dimension, against tau: the pairs' lines, which cross, and the field's particles.

    lines: float[2, N], straight from noise to action
    particles: float[steps + 1, N], which do not cross

    Returns the figure.
    """
    fig, axes = style.figure(1, 2, size=(4.6, 3.8), sharey=True)
    panels = (
        (lines, style.PATH, "training: each pair's line"),
        (particles, style.FLOW, "sampling: particles that follow one field"),
    )
    for ax, (x, colour, title) in zip(axes, panels, strict=True):
        ax.plot(torch.linspace(0, 1, len(x)), x, color=colour, lw=0.8, alpha=0.7)
        ax.plot(torch.zeros_like(x[0]), x[0], "o", color=style.NOISE, ms=3, clip_on=False)
        ax.plot(torch.ones_like(x[-1]), x[-1], "o", color=style.DATA, ms=3, clip_on=False)
        ax.set(title=title, xlabel=r"$\tau$", xlim=(0, 1))
    axes[0].set_ylabel("x")
    fig.get_layout_engine().set(w_pad=0.1)
    return fig
