"""Notebook 01's pictures: paths from noise to action, where Euler lands, crossing lines."""

import torch
from matplotlib.patches import Circle

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


def landings(curve, polygons: dict, steps, errors):
    """Euler on a curved path: where its steps lead in the plane, and how far from the action.

    curve: float[T, 2], the path from noise to action
    polygons: {number of steps: float[n + 1, 2]}, Euler's points
    steps: N numbers of steps
    errors: float[N], the distance from the action after so many

    Returns the figure.
    """
    fig, (plane, graph) = style.figure(1, 2, size=(4.8, 3.8))
    plane.plot(*curve.T, "--", color=style.NOISE, lw=1.5, label="the curved path")
    plane.plot(*curve[[0, -1]].T, color=style.FLOW, lw=2, label="the straight path, one step")
    for (n, points), marker in zip(polygons.items(), "os^Dv", strict=False):
        name = f"{n} step{'s' * (n > 1)} on the curve"
        plane.plot(*points.T, "-" + marker, color=style.ONE_STEP, ms=4, lw=1, label=name)
    for point, colour in ((curve[0], style.NOISE), (curve[-1], style.DATA)):
        plane.plot(*point, "o", color=colour, ms=10, zorder=4)
    plane.set(aspect="equal", xlabel=r"$x_1$", ylabel=r"$x_2$", title="where the steps lead")
    fig.legend(*plane.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    graph.loglog(steps, errors, "s-", color=style.ONE_STEP)
    graph.loglog(steps, [errors[-1] * steps[-1] / n for n in steps], ":", color=style.INK, lw=1)
    slope = dict(xytext=(-4, -14), textcoords="offset points", ha="right")
    middle = len(steps) // 2
    graph.annotate("slope −1", (steps[middle], errors[-1] * steps[-1] / steps[middle]), **slope)
    graph.set(xlabel="Euler steps", title="distance from the action, curved path")
    return fig


def chunk(chunks, taus, names, obstacle):
    """One action chunk on its path: above in the plane, below every number against its step.

    chunks: float[T, H, 2], one per tau
    taus: T numbers
    names: two strings
    obstacle: a toys.Obstacle

    Returns the figure.
    """
    fig, axes = style.figure(2, len(taus), size=(2.2, 2.1), sharey="row")
    for (plane, graph), actions, tau in zip(axes.T, chunks, taus, strict=True):
        plane.add_patch(Circle((0, 0), obstacle.radius, **style.OBSTACLE))
        plane.plot(*actions.T, "o-", color=style.FLOW, ms=2.5, lw=1)
        plane.set_title(rf"$\tau$ = {tau:g}")
        style.square(plane, 2.8, xticks=[-2, 0, 2], yticks=[-2, 0, 2])
        for d, (name, colour) in enumerate(zip(names, (style.DATA, style.ONE_STEP), strict=True)):
            graph.plot(actions[:, d], "o-", ms=2.5, lw=1.2, color=colour, label=name)
        graph.set(xlabel="step of the chunk", ylim=(-2.8, 2.8))
    fig.legend(*axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
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
