"""The static twins of the widgets: the straight line, the flow field at several tau, the Euler steps of one particle."""

import torch

from minipi0 import flow
from minipi0.plots import style

EXTENT = 3.4  # the same window as the widgets'


def straight_line(noise, action, tau: float = 0.4):
    """The line from noise to action, A^tau on it and its velocity at five tau, the same everywhere. Returns the figure.

    noise, action: two numbers each. The twin of widgets.StraightLine.
    """
    noise, action = (torch.as_tensor(p, dtype=torch.float64).reshape(1, 2) for p in (noise, action))
    velocity = flow.velocity_target(action, noise)[0]
    beside = torch.stack([-velocity[1], velocity[0]]) / velocity.norm().clamp(min=1e-9)  # where labels do not lie on the line
    fig, ax = style.figure(size=(4.6, 4.4))
    ax.plot(*torch.cat([noise, action]).T, "--", color=style.PATH, lw=1.5, zorder=1)
    for t in (0.0, 0.2, 0.4, 0.6, 0.8):  # a sixth of the velocity, so that five of them find room
        start = flow.interpolate(action, noise, t)[0]
        ax.annotate("", start + velocity / 6, start, zorder=2, annotation_clip=False,
                    arrowprops={"arrowstyle": "-|>", "color": style.FLOW, "lw": 2.5, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 14})
    point = flow.interpolate(action, noise, tau)[0]
    ax.plot(*point, "o", color=style.PATH, ms=9, zorder=3)
    ax.annotate(rf"$A^\tau$, $\tau$ = {float(tau):g}", point, -30 * beside, textcoords="offset points", ha="center", va="center")
    for point, colour, name in ((noise[0], style.NOISE, r"noise $\epsilon$"), (action[0], style.DATA, "action $A$")):
        ax.plot(*point, "o", color=colour, ms=10, zorder=4)
        ax.annotate(name, point, 22 * beside, textcoords="offset points", ha="center", va="center")
    numbers = "({:.2f}, {:.2f})".format(*velocity.tolist()).replace("-", "−")
    ax.set_title(rf"velocity $A - \epsilon$ = {numbers} at every $\tau$" + "\n(arrows at a sixth of their length)")
    return _window(fig, [ax])


def _window(fig, axes):
    for ax in axes:
        ax.set(xlim=(-EXTENT, EXTENT), ylim=(-EXTENT, EXTENT), aspect="equal", xticks=range(-3, 4), yticks=range(-3, 4))
    return fig
