"""Interactive pictures, drawn in the browser: lines, flow fields, robots, trials.

The `..._fallback` ones need only ipywidgets.
"""

import importlib

_WHERE = {
    "StraightLine": "straight_line",
    "FlowField": "flow_field",
    "EulerSteps": "euler_steps",
    "TrialPlanner": "trial_planner",
    "RobotPlayer": "robot_player",
}
_FALLBACK = {f"{name}_fallback": "fallback" for name in _WHERE.values()}
_FALLBACK["robot_player_fallback"] = "robot_fallback"
_WHERE |= {
    "EpisodePlayer": "episode_player",
    "Teleoperator": "teleoperator",
    "Guess": "guess",
    "Scribble": "scribble",
    "Posterior": "posterior",
    "MaskExplorer": "mask_explorer",
}
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
        fallback = f"{_WHERE[name]}_fallback"
        hint = "the figure beside it says the same"
        if fallback in _FALLBACK:
            hint = f"minipi0.widgets.{fallback}() does with ipywidgets alone"
        raise ImportError(
            f"{name} needs the package anywidget "
            f"(pip install anywidget, then reload the page); {hint}"
        ) from error
