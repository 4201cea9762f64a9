"""The static twins of the widgets: the straight line, the flow field, the Euler steps."""

import torch
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle

from minipi0 import flow, toys
from minipi0.plots import style

TAUS = (0, 0.25, 0.5, 0.75, 1)
NARROW = (2.3, 2.4)  # of one panel of two in a column of the README's table, in inches


def straight_line(noise, action, tau: float):
    """The line from noise to action, A^tau on it and its velocity at five tau, the same everywhere.

    noise, action: two numbers each

    Returns the figure. The twin of widgets.StraightLine.
    """
    noise, action = (torch.as_tensor(p, dtype=torch.float64).reshape(1, 2) for p in (noise, action))
    velocity = flow.velocity_target(action, noise)[0]
    # across the line, so that labels do not lie on it
    beside = torch.stack([-velocity[1], velocity[0]]) / velocity.norm().clamp(min=1e-9)
    fig, ax = style.figure(size=(4.6, 4.4))
    ax.plot(*torch.cat([noise, action]).T, "--", color=style.PATH, lw=1.5, zorder=1)
    look = {"arrowstyle": "-|>", "color": style.FLOW, "lw": 2.5, "mutation_scale": 14}
    look |= {"shrinkA": 0, "shrinkB": 0}
    for t in (0.0, 0.2, 0.4, 0.6, 0.8):  # a sixth of the velocity, so that five of them find room
        start = flow.interpolate(action, noise, t)[0]
        ends = start + velocity / 6, start
        ax.annotate("", *ends, zorder=2, annotation_clip=False, arrowprops=look)
    here = flow.interpolate(action, noise, tau)[0]
    for point, text, away, colour, size in (
        (here, rf"$A^\tau$, $\tau$ = {float(tau):g}", -30, style.PATH, 9),
        (noise[0], r"noise $\epsilon$", 22, style.NOISE, 10),
        (action[0], "action $A$", 22, style.DATA, 10),
    ):
        ax.plot(*point, "o", color=colour, ms=size, zorder=3)
        place = dict(xytext=away * beside, textcoords="offset points", ha="center", va="center")
        ax.annotate(text, point, **place)
    numbers = "({:.2f}, {:.2f})".format(*velocity.tolist()).replace("-", "−")
    title = rf"velocity $A - \epsilon$ = {numbers} at every $\tau$"
    ax.set_title(f"{title}\n(arrows at a sixth of their length)")
    return _window(fig, [ax])


def flow_field(
    velocity, taus=TAUS, euler_steps=50, n_particles=300, target=None, obstacle: float = 0
):
    """A panel per tau: arrows of the field, and particles that came there from noise.

    velocity: a toys.GaussianMixture (its exact marginal field), or velocity(x, tau) for flow.euler
    euler_steps: of the particles
    target: the mixture to draw as discs of two standard deviations, by default the given one
    obstacle: radius of a grey disc at the origin, none by default

    Returns the figure. The twin of widgets.FlowField.
    """
    if isinstance(velocity, toys.GaussianMixture):
        velocity, target = velocity.velocity, velocity if target is None else target
    noise = torch.randn(n_particles, 2, generator=torch.Generator().manual_seed(0))
    line = torch.linspace(-3.2, 3.2, 17)
    grid = torch.cartesian_prod(line, line)
    arrows = dict(color=style.FLOW, width=0.005, headwidth=4, **style.IN_PLANE)
    fig, axes = _panels(len(taus))
    with torch.no_grad():
        paths = flow.euler(velocity, noise, euler_steps, path=True)
        fields = [
            torch.as_tensor(velocity(grid, torch.tensor(t, dtype=torch.float64))) for t in taus
        ]
    for ax, tau, v in zip(axes[0], taus, fields, strict=True):
        if obstacle:
            ax.add_patch(Circle((0, 0), obstacle, **style.OBSTACLE))
        if target is not None:
            style.discs(ax, target)
        # a seventh of the velocity, at most a cell and a half
        ax.quiver(*grid.T, *(v * (0.6 / v.norm(dim=1, keepdim=True)).clamp(max=1 / 7)).T, **arrows)
        ax.plot(*_at(paths, tau).T, ".", color=style.PATH, ms=3)
        ax.set_title(rf"$\tau$ = {tau:g}")
    particles = f"particles, {euler_steps} Euler steps"
    entries = {"target (2 std)": style.DATA, "field": style.FLOW, particles: style.PATH}
    _legend(fig, entries)
    return _window(fig, axes[0])


def euler_steps(mixture, start=(1.6, 2.4), steps=(1, 2, 4, 10)):
    """A panel per number of Euler steps: one particle's steps, its true curve, and the tangents.

    Several panels stand two in a row, in the width of the README's table.

    mixture: a toys.GaussianMixture
    start: two numbers, the noise

    Returns the figure. The twin of widgets.EulerSteps.
    """
    noise = torch.as_tensor(start, dtype=torch.float64).reshape(1, 2)
    exact = flow.euler(mixture.velocity, noise, 2000, path=True)[:, 0]
    if len(steps) == 1:
        fig, axes = _panels(1)
    else:
        fig, axes = style.figure(-(-len(steps) // 2), 2, size=NARROW, sharex=True, sharey=True)
    for ax in axes.flat[len(steps) :]:
        ax.axis("off")
    for ax, n in zip(axes.flat, steps, strict=False):
        path = flow.euler(mixture.velocity, noise, n, path=True)[:, 0]
        style.discs(ax, mixture)
        for i, point in enumerate(path[:-1]):
            aim = point + (n - i) * (path[i + 1] - point)  # the tangent, followed up to tau = 1
            ax.plot(*torch.stack([point, aim]).T, "--", color=style.ONE_STEP, lw=0.8, alpha=0.8)
            ax.plot(*aim, "x", color=style.ONE_STEP, ms=4)
        ax.plot(*exact.T, color=style.FLOW, lw=2.5)
        ax.plot(*path.T, ".-", color=style.ONE_STEP, lw=1.5, ms=6)
        ax.plot(*noise[0], "o", color=style.NOISE, ms=8)
        ax.set_title(f"n = {n}: error {(path[-1] - exact[-1]).norm():.3f}")
    entries = {"target (2 std)": style.DATA, "true curve": style.FLOW}
    entries |= {"Euler steps; dashed: tangents": style.ONE_STEP, r"noise $\epsilon$": style.NOISE}
    _legend(fig, entries)
    return _window(fig, axes.flat)


def noise_to_action(mixture):
    """Particles at four tau, on the exact field's paths to the mixture.

    mixture: a toys.GaussianMixture

    Returns the figure.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(500, 2, generator=generator, dtype=torch.float64)
    paths = flow.euler(mixture.velocity, noise, 100, path=True)
    fig, axes = style.figure(2, 2, size=NARROW)
    for ax, tau in zip(axes.flat, (0, 0.5, 0.75, 1), strict=True):
        done = paths[: round(tau * 100) + 1]
        ax.plot(*done.permute(2, 0, 1), color=style.PATH, lw=0.4, alpha=0.35)
        ax.scatter(*_at(paths, tau).T, s=4, color=_blend(style.NOISE, style.DATA, tau), zorder=3)
        ax.set_title(rf"$\tau$ = {tau:g}" + {0: ": noise", 1: ": actions"}.get(tau, ""))
        style.square(ax, style.EXTENT, xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    fig.get_layout_engine().set(h_pad=0.1)  # without ticks the titles would touch the edge
    return fig


def _at(paths, tau: float):
    """Points at time tau of paths float[steps + 1, B, 2], straight between nodes: float[B, 2]."""
    position = float(tau) * (len(paths) - 1)
    i = min(int(position), len(paths) - 2)
    return torch.lerp(paths[i], paths[i + 1], position - i)


def _blend(first: str, second: str, share: float):
    a, b = (torch.tensor(to_rgb(c)) for c in (first, second))
    return tuple(torch.lerp(a, b, float(share)).tolist())


def _panels(count: int):
    size = (3.2, 3.4) if count > 1 else (4.4, 4.8)
    return style.figure(1, count, size=size, squeeze=False, sharey=True)


def _legend(fig, entries: dict):
    """entries: {text: colour}."""
    ax = fig.axes[0]
    handles = [ax.plot([], [], "o", color=c, label=text)[0] for text, c in entries.items()]
    columns = len(entries) if fig.get_figwidth() > 5 else 2
    fig.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)


def _window(fig, axes):
    for ax in axes:
        style.square(ax, style.EXTENT, **style.TICKS)
    return fig
