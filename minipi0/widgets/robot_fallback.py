"""RobotPlayer where anywidget's front end is missing.

Plain ipywidgets, the fan drawn by the kernel.
"""

import io

import ipywidgets
import traitlets
from PIL import Image, ImageDraw

from minipi0.plots import style
from minipi0.robot.live import Live
from minipi0.robot.watch import Moment, Scene, Settings


def robot_player_fallback(scenes: dict[str, Scene], **settings) -> ipywidgets.Widget:
    """RobotPlayer's picture and its controls. scenes, settings: as of RobotPlayer.

    Only the first scene is shown. Returns the widget; its `live` is the episode behind it.
    """
    name, scene = next(iter(scenes.items()))
    first = dict(instruction=scene.instructions[0], policy=next(iter(scene.policies)))
    begin = Settings(name, **first | settings)
    image, line = ipywidgets.Image(format="jpeg", width=320, height=320), ipywidgets.Label()
    wide = {"description_width": "110px"}
    controls = {
        "instruction": ipywidgets.Combobox(options=scene.instructions, value=begin.instruction),
        "policy": ipywidgets.Dropdown(options=list(scene.policies), value=begin.policy),
        "steps": ipywidgets.Dropdown(options=[1, 2, 5, 10, 20], value=begin.steps),
        "execute": ipywidgets.IntSlider(begin.execute, min=1, max=16),
        "seed": ipywidgets.BoundedIntText(begin.seed, min=0, max=9999),
    }
    for label, control in controls.items():
        control.description, control.style = label, wide
    play = ipywidgets.ToggleButton(description="Play")
    step, restart = (ipywidgets.Button(description=text) for text in ("Step", "Restart"))

    def show(moment: Moment) -> None:
        jpeg = io.BytesIO()
        drawn(moment).save(jpeg, "JPEG", quality=80)
        image.value, line.value = jpeg.getvalue(), moment.line

    def stop() -> None:
        play.value = False

    live = Live(scenes, begin, show, lambda sentence: setattr(line, "value", sentence), stop)

    def changed(_) -> None:
        chosen = {label: control.value for label, control in controls.items()}
        live.change(Settings(name, **chosen))

    for control in controls.values():
        control.observe(changed, "value")
    play.observe(lambda change: (live.play if change.new else live.pause)(), "value")
    step.on_click(lambda _: live.step())
    restart.on_click(lambda _: live.restart())
    live.restart()  # the first picture
    side = ipywidgets.VBox([*controls.values(), ipywidgets.HBox([play, step, restart]), line])
    box = ipywidgets.HBox([image, side])
    box.add_traits(live=traitlets.Any(live))
    return box


def drawn(moment: Moment) -> Image.Image:
    """The moment's picture with its fan and, white, the actions carried out."""
    picture = Image.fromarray(moment.picture)
    ink, size = ImageDraw.Draw(picture), len(moment.picture)
    for path, colour, width in [
        *((path, style.PATH, 1) for path in moment.fan),
        (moment.chosen, "white", 3),
    ]:
        ink.line([tuple(point) for point in (size * path).tolist()], colour, width)
    return picture
