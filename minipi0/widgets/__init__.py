"""Interactive pictures, drawn in the browser: StraightLine, FlowField, EulerSteps, RobotPlayer. The `..._fallback` ones need only ipywidgets."""

import importlib

_WHERE = {
    "StraightLine": "straight_line",
    "FlowField": "flow_field",
    "EulerSteps": "euler_steps",
    "RobotPlayer": "robot_player",
}
_FALLBACK = {f"{name}_fallback": "fallback" for name in _WHERE.values()}
__all__ = [*_WHERE, *_FALLBACK]


def __getattr__(name: str):
    """Import a widget on first use, and say what to do where anywidget is missing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{(_WHERE | _FALLBACK)[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "anywidget":
            raise
        raise ImportError(
            f"{name} needs the package anywidget (pip install anywidget, then reload the page); "
            f"minipi0.widgets.{_WHERE[name]}_fallback() does with ipywidgets alone"
        ) from error
