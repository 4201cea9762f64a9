"""The static twins of the widgets: the straight line, the flow field at several tau, the Euler
steps of one particle.
"""

import torch
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle

from minipi0 import flow, toys
from minipi0.plots import style

EXTENT = 3.4  # the same window as the widgets'


def straight_line(noise, action, tau: float = 0.4):
    """The line from noise to action, A^tau on it and its velocity at five tau, the same everywhere.

    Returns the figure.

    noise, action: two numbers each. The twin of widgets.StraightLine.
    """
    noise, action = (torch.as_tensor(p, dtype=torch.float64).reshape(1, 2) for p in (noise, action))
    velocity = flow.velocity_target(action, noise)[0]
    beside = torch.stack([-velocity[1], velocity[0]]) / velocity.norm().clamp(
        min=1e-9
    )  # where labels do not lie on the line
    fig, ax = style.figure(size=(4.6, 4.4))
    ax.plot(*torch.cat([noise, action]).T, "--", color=style.PATH, lw=1.5, zorder=1)
    for t in (0.0, 0.2, 0.4, 0.6, 0.8):  # a sixth of the velocity, so that five of them find room
        start = flow.interpolate(action, noise, t)[0]
        ax.annotate(
            "",
            start + velocity / 6,
            start,
            zorder=2,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-|>",
                "color": style.FLOW,
                "lw": 2.5,
                "shrinkA": 0,
                "shrinkB": 0,
                "mutation_scale": 14,
            },
        )
    point = flow.interpolate(action, noise, tau)[0]
    ax.plot(*point, "o", color=style.PATH, ms=9, zorder=3)
    ax.annotate(
        rf"$A^\tau$, $\tau$ = {float(tau):g}",
        point,
        -30 * beside,
        textcoords="offset points",
        ha="center",
        va="center",
    )
    for point, colour, name in (
        (noise[0], style.NOISE, r"noise $\epsilon$"),
        (action[0], style.DATA, "action $A$"),
    ):
        ax.plot(*point, "o", color=colour, ms=10, zorder=4)
        ax.annotate(name, point, 22 * beside, textcoords="offset points", ha="center", va="center")
    numbers = "({:.2f}, {:.2f})".format(*velocity.tolist()).replace("-", "−")
    ax.set_title(
        rf"velocity $A - \epsilon$ = {numbers} at every $\tau$"
        + "\n(arrows at a sixth of their length)"
    )
    return _window(fig, [ax])


def flow_field(
    velocity,
    taus=(0, 0.25, 0.5, 0.75, 1),
    euler_steps: int = 50,
    n_particles: int = 300,
    target=None,
    seed: int = 0,
    obstacle: float = 0,
):
    """A panel per tau: arrows of the field, and particles that came there from noise in
    `euler_steps` steps. Returns the figure.

    velocity: a toys.GaussianMixture (its exact marginal field) or a function velocity(x, tau) as
    for flow.euler. target: the mixture to draw as discs of two standard deviations, by default the
    given one. obstacle: the radius of a grey disc at the origin, none by default. The twin of
    widgets.FlowField.
    """
    if isinstance(velocity, toys.GaussianMixture):
        velocity, target = velocity.velocity, velocity if target is None else target
    noise = torch.randn(n_particles, 2, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        paths = flow.euler(velocity, noise, euler_steps, path=True)
    line = torch.linspace(-3.2, 3.2, 17)
    grid = torch.cartesian_prod(line, line)
    fig, axes = _panels(len(taus))
    for ax, tau in zip(axes[0], taus, strict=True):
        with torch.no_grad():
            v = torch.as_tensor(velocity(grid, torch.tensor(tau, dtype=torch.float64)))
        v = v * (0.6 / v.norm(dim=1, keepdim=True)).clamp(
            max=1 / 7
        )  # a seventh of the velocity, at most a cell and a half
        if obstacle:
            ax.add_patch(Circle((0, 0), obstacle, **style.OBSTACLE))
        _discs(ax, target)
        ax.quiver(
            *grid.T,
            *v.T,
            color=style.FLOW,
            alpha=0.75,
            angles="xy",
            scale_units="xy",
            scale=1,
            width=0.005,
            headwidth=4,
        )
        ax.plot(*_at(paths, tau).T, ".", color=style.PATH, ms=3)
        ax.set_title(rf"$\tau$ = {tau:g}")
    _legend(
        fig,
        axes[0, 0],
        ("target (2 std)", style.DATA),
        ("field", style.FLOW),
        (f"particles, {euler_steps} Euler steps", style.PATH),
    )
    return _window(fig, axes[0])


def euler_steps(mixture, start=(1.6, 2.4), steps=(1, 2, 4, 10)):
    """A panel per number of Euler steps: the steps of one particle against its true curve, and
    where each tangent points.

    mixture: a toys.GaussianMixture. start: two numbers, the noise. Returns the figure. The twin of
    widgets.EulerSteps.
    """
    noise = torch.as_tensor(start, dtype=torch.float64).reshape(1, 2)
    exact = flow.euler(mixture.velocity, noise, 2000, path=True)[:, 0]
    fig, axes = _panels(len(steps))
    for ax, n in zip(axes[0], steps, strict=True):
        path = flow.euler(mixture.velocity, noise, n, path=True)[:, 0]
        _discs(ax, mixture)
        for i, point in enumerate(path[:-1]):
            aim = point + n * (1 - i / n) * (
                path[i + 1] - point
            )  # the tangent, followed up to tau = 1
            ax.plot(*torch.stack([point, aim]).T, "--", color=style.ONE_STEP, lw=0.8, alpha=0.8)
            ax.plot(*aim, "x", color=style.ONE_STEP, ms=4)
        ax.plot(*exact.T, color=style.FLOW, lw=2.5)
        ax.plot(*path.T, ".-", color=style.ONE_STEP, lw=1.5, ms=6)
        ax.plot(*noise[0], "o", color=style.NOISE, ms=8)
        ax.set_title(f"n = {n}: error {(path[-1] - exact[-1]).norm():.3f}")
    _legend(
        fig,
        axes[0, 0],
        ("target (2 std)", style.DATA),
        ("true curve", style.FLOW),
        ("Euler steps; dashed: tangents", style.ONE_STEP),
        (r"noise $\epsilon$", style.NOISE),
    )
    return _window(fig, axes[0])


def noise_to_action(mixture, taus=(0, 0.25, 0.5, 0.75, 1), n_particles: int = 500, seed: int = 0):
    """A wide picture: particles at several tau on their way from noise to the mixture along its
    exact field, with the paths behind them.

    Returns the figure.
    """
    noise = torch.randn(
        n_particles, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    paths = flow.euler(mixture.velocity, noise, 100, path=True)
    fig, axes = style.figure(1, len(taus), size=(2.6, 2.8))
    for ax, tau in zip(axes, taus, strict=True):
        ax.plot(
            *paths[: round(tau * 100) + 1].permute(2, 0, 1), color=style.PATH, lw=0.4, alpha=0.35
        )
        ax.scatter(*_at(paths, tau).T, s=4, color=_blend(style.NOISE, style.DATA, tau), zorder=3)
        ax.set_title(rf"$\tau$ = {tau:g}" + {0: ": noise", 1: ": actions"}.get(tau, ""))
    _window(fig, axes)
    for ax in axes:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    fig.get_layout_engine().set(h_pad=0.1)  # without ticks the titles would touch the edge
    return fig


def _at(paths, tau: float):
    """Points at time tau of paths (steps + 1, B, 2): straight between their nodes, (B, 2)."""
    position = float(tau) * (len(paths) - 1)
    i = min(int(position), len(paths) - 2)
    return torch.lerp(paths[i], paths[i + 1], position - i)


def _blend(first: str, second: str, share: float):
    a, b = (torch.tensor(to_rgb(c)) for c in (first, second))
    return tuple(torch.lerp(a, b, float(share)).tolist())


def _discs(ax, mixture):
    for mean in [] if mixture is None else mixture.means:
        ax.add_patch(Circle(mean.tolist(), 2 * mixture.std, color=style.DATA, alpha=0.3, lw=0))


def _panels(count: int):
    return style.figure(
        1, count, size=(3.2, 3.4) if count > 1 else (4.4, 4.8), squeeze=False, sharey=True
    )


def _legend(fig, ax, *entries):
    handles = [ax.plot([], [], "o", color=colour, label=text)[0] for text, colour in entries]
    columns = len(entries) if len(fig.axes) > 1 else 2  # below a single panel there is room for two
    fig.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)


def _window(fig, axes):
    for ax in axes:
        ax.set(
            xlim=(-EXTENT, EXTENT),
            ylim=(-EXTENT, EXTENT),
            aspect="equal",
            xticks=range(-3, 4),
            yticks=range(-3, 4),
        )
    return fig
