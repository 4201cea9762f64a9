"""Interactive pictures, drawn in the browser: StraightLine, FlowField, EulerSteps. `flow_field_fallback` needs only ipywidgets."""

import importlib

_WHERE = {"StraightLine": "straight_line", "FlowField": "flow_field", "EulerSteps": "euler_steps", "flow_field_fallback": "fallback"}
__all__ = [*_WHERE]


def __getattr__(name: str):
    """Import a widget on first use, and say what to do where anywidget is missing."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "anywidget":
            raise
        raise ImportError(
            f"{name} needs the package anywidget (pip install anywidget, then reload the page); "
            "minipi0.widgets.flow_field_fallback() does with ipywidgets alone"
        ) from error
