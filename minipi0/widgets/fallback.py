"""The widgets where anywidget's front end is missing: plain ipywidgets, redrawn by the kernel."""

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display

from minipi0 import planning
from minipi0.plots import flow_field, how_many_trials
from minipi0.widgets.targets import TARGETS

STYLE = {"description_width": "110px"}


def straight_line_fallback(noise=(-2.0, -1.0), action=(1.5, 2.0)):
    """StraightLine's picture with ipywidgets.interact: move tau.

    Returns interact's function.
    """

    def draw(tau):
        _show(flow_field.straight_line(noise, action, tau))

    return ipywidgets.interact(draw, tau=_tau(0.4))


def flow_field_fallback(network=None):
    """FlowField's picture with ipywidgets.interact: choose target, tau and number of Euler steps.

    network: a velocity(x, tau) to show beside the exact field, as for flow.euler

    Returns interact's function.
    """

    def draw(target, field, tau, euler_steps):
        mixture = TARGETS[target].mixture
        velocity = network if field == "network" else mixture
        _show(flow_field.flow_field(velocity, [tau], euler_steps, 300, mixture))

    fields = ["exact"] if network is None else ["exact", "network"]
    sliders = dict(tau=_tau(0.5), euler_steps=_steps(10))
    return ipywidgets.interact(draw, target=_targets(), field=_choice(fields), **sliders)


def euler_steps_fallback(start=(1.6, 2.4)):
    """EulerSteps' picture with ipywidgets.interact: choose the target and the number of steps.

    Returns interact's function.
    """

    def draw(target, steps):
        _show(flow_field.euler_steps(TARGETS[target].mixture, start, [steps]))

    return ipywidgets.interact(draw, target=_targets(), steps=_steps(4))


def trial_planner_fallback(p1: float = 0.9, p2: float = 0.8, n: int = 10):
    """TrialPlanner's picture with ipywidgets.interact. Returns interact's function."""

    def draw(p1, p2, n, correlation):
        _show(how_many_trials.plan(p1, p2, n, min(correlation, planning.correlations(p1, p2)[1])))

    def share(value, high, name):
        return ipywidgets.FloatSlider(
            value, min=0.0, max=high, step=0.01, description=name, style=STYLE
        )

    return ipywidgets.interact(
        draw,
        p1=share(p1, 0.99, "rate of policy 1"),
        p2=share(p2, 0.99, "rate of policy 2"),
        n=ipywidgets.IntSlider(n, min=5, max=1000, description="trials each, n", style=STYLE),
        correlation=share(0.0, 0.9, "correlation"),
    )


def _show(fig) -> None:
    display(fig)
    plt.close(fig)


def _targets():
    return _choice([(target.label, name) for name, target in TARGETS.items()])


def _choice(options):
    return ipywidgets.Dropdown(options=options, style=STYLE)


def _tau(value: float):
    look = dict(description="τ (1: action)", style=STYLE)
    return ipywidgets.FloatSlider(value, min=0, max=1, step=0.05, **look)


def _steps(value: int):
    return ipywidgets.IntSlider(value, min=1, max=50, description="Euler steps n", style=STYLE)
