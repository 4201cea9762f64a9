"""The flow field where anywidget's front end is missing: plain ipywidgets, redrawn by the kernel (some pictures a second)."""

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display

from minipi0.plots import flow_field
from minipi0.widgets import targets


def flow_field_fallback(network=None, n_particles: int = 300):
    """FlowField's picture with ipywidgets.interact: choose the target, tau and the number of Euler steps.

    network: a velocity(x, tau) to show beside the exact field, as for flow.euler. Returns interact's function.
    """
    fields = ["exact"] if network is None else ["exact", "network"]

    def draw(target="ring", field=fields[0], tau=0.5, euler_steps=10):
        mixture = targets.TARGETS[target]()
        fig = flow_field.flow_field(network if field == "network" else mixture, [tau], euler_steps, n_particles, mixture)
        display(fig)
        plt.close(fig)

    style = {"description_width": "110px"}
    return ipywidgets.interact(
        draw,
        target=ipywidgets.Dropdown(options=list(targets.TARGETS), style=style),
        field=ipywidgets.Dropdown(options=fields, style=style),
        tau=ipywidgets.FloatSlider(0.5, min=0, max=1, step=0.05, description="τ (1: action)", style=style),
        euler_steps=ipywidgets.IntSlider(10, min=1, max=50, description="Euler steps n", style=style),
    )
