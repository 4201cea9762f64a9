"""Every picture the notebooks draw, on axes made by `style.figure`.

A module per notebook, by its name. `flow_field` has the widgets' static twins, `shared` what
several notebooks draw, `style` the colours and the window, `output` brings a figure to the page.
"""

from minipi0.plots.output import show

__all__ = ["show"]
