"""A robot to play with (notebook 00).

It acts in the kernel, its pictures are streamed to the page.
"""

import io

import traitlets
from PIL import Image

from minipi0.robot.live import Live
from minipi0.robot.watch import Moment, Scene, Settings
from minipi0.widgets import recordings
from minipi0.widgets.base import Canvas, browser_code

STEPS = [1, 2, 5, 10, 20]
CHOICES = ("scene", "instruction", "policy", "seed", "steps", "execute", "speed", "fan")
FAN = 16  # sampled chunks


class RobotPlayer(Canvas):
    """Choose or type an instruction, a start, a policy, and watch the arm act.

    Over its picture lies the fan of chunks that it might have taken.

    `w = RobotPlayer({"the wall": Scene(make, instructions, policies)})`; then e.g.
    `w.steps = 1; w.playing = True`. Episodes run in a thread of the kernel, one at a time;
    `w.results` lists those that came to an end. Where no kernel answers, or nothing can be
    rendered, recorded episodes are played.

    Traits, to read and to set: scene, instruction (any words), policy, seed, steps (Euler steps:
    1, 2, 5, 10, 20), execute (actions of a chunk that are carried out before the next is asked
    for), speed (1: real time), fan, playing.

    Raises traitlets.TraitError for other values, ValueError when there is no scene.
    """

    _live: Live | None = None
    _esm = browser_code("canvas.js", "robot_player.js")
    scene = traitlets.Unicode().tag(sync=True)
    instruction = traitlets.Unicode().tag(sync=True)
    policy = traitlets.Unicode().tag(sync=True)
    seed = traitlets.Int(0, min=0, max=9999).tag(sync=True)
    steps = traitlets.Enum(STEPS, 10).tag(sync=True)
    execute = traitlets.Int(5, min=1).tag(sync=True)
    speed = traitlets.Float(1.0, min=0.1, max=100).tag(sync=True)
    fan = traitlets.Bool(True).tag(sync=True)
    playing = traitlets.Bool(False).tag(sync=True)
    scenes = traitlets.Dict().tag(sync=True)  # what there is to choose from, by name
    horizon = traitlets.Int(16, min=1).tag(sync=True)
    recorded = traitlets.List().tag(sync=True)
    trouble = traitlets.Unicode().tag(sync=True)

    def __init__(self, scenes: dict[str, Scene], recorded=None, size: int = 320, **traits):
        if not scenes:
            raise ValueError('there is no scene: RobotPlayer({"the wall": Scene(…)})')
        self._scenes, self.results = dict(scenes), []
        names = {
            name: {"instructions": list(s.instructions), "policies": list(s.policies)}
            for name, s in scenes.items()
        }
        first = traits.get("scene", next(iter(scenes)))
        if first not in names:
            raise traitlets.TraitError(f"scene is one of {list(names)}, not {first!r}")
        traits.setdefault("instruction", names[first]["instructions"][0])
        traits.setdefault("policy", names[first]["policies"][0])
        traits.setdefault("execute", scenes[first].execute)
        horizons = [
            policy.config.horizon for s in scenes.values() for policy in s.policies.values()
        ]
        traits.setdefault("horizon", max(horizons))
        recorded = recordings.load() if recorded is None else recorded
        shown = [recording.for_browser() for recording in recorded]
        super().__init__(**{"scenes": names, "scene": first, "recorded": shown} | traits)
        callbacks = self._show, self._fail, self._stop
        self._live = Live(self._scenes, self._settings(), *callbacks, size=size)
        self.observe(self._chosen, list(CHOICES))
        self.observe(self._play_or_pause, "playing")
        self.on_msg(lambda _, content, __: self._asked(content.get("kind")))
        if self.playing:
            self._live.play()

    # ---- from Python -----------------------------------------------------------------------------

    def step(self) -> None:
        """Carry out one action, then pause."""
        self.playing = False
        self._live.step()

    def restart(self) -> None:
        """Begin the episode of this seed anew."""
        self._live.restart()

    def close(self) -> None:
        """End the episode, and the widget."""
        if self._live is not None:
            self._live.close()
        super().close()

    @traitlets.validate("scene", "policy")
    def _known(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        known = list(self._scenes if name == "scene" else self._scenes[self.scene].policies)
        if value not in known:
            raise traitlets.TraitError(f"{name} is one of {known}, not {value!r}")
        return value

    @traitlets.validate("instruction")
    def _sayable(self, proposal):
        words = " ".join(proposal["value"].split())
        if not 0 < len(words) <= 200 or not words.isprintable():
            raise traitlets.TraitError("an instruction is 1 to 200 printable characters")
        return words

    # ---- between the page and the thread ---------------------------------------------------------

    def _settings(self) -> Settings:
        chosen = {name: getattr(self, name) for name in CHOICES if name != "fan"}
        return Settings(**chosen, samples=FAN if self.fan else 0)

    def _chosen(self, change) -> None:
        if change.name == "scene":
            scene = self._scenes[self.scene]
            with self.hold_trait_notifications():  # the thread never sees half of two scenes
                self.instruction, self.execute = scene.instructions[0], scene.execute
                if self.policy not in scene.policies:
                    self.policy = next(iter(scene.policies))
        self.trouble = ""
        self._live.change(self._settings())

    def _play_or_pause(self, change) -> None:
        self.trouble = self.trouble if not change.new else ""
        (self._live.play if change.new else self._live.pause)()

    def _asked(self, kind: str | None) -> None:
        """A message of the page: it has just opened, or a button was pressed."""
        if kind == "hello":
            self.send({"kind": "here"})
            self._stream(self._live.moment) if self._live.moment else self._live.restart()
        elif kind in ("step", "restart"):
            getattr(self, kind)()

    def _show(self, moment: Moment) -> None:
        if moment.over:
            kept = ("scene", "instruction", "policy", "seed", "steps", "execute")
            chosen = {name: getattr(self._live.settings, name) for name in kept}
            self.results.append(chosen | moment.info | {"actions": moment.frame})
        self._stream(moment)

    def _stream(self, moment: Moment) -> None:
        jpeg = io.BytesIO()
        Image.fromarray(moment.picture).save(jpeg, "JPEG", quality=80)
        content = {
            "kind": "moment",
            "frame": moment.frame,
            "line": moment.line,
            "fan": (1000 * moment.fan).round().astype(int).tolist(),  # thousandths of the picture
            "chosen": (1000 * moment.chosen).round().astype(int).tolist(),
        }
        self.send(content, [jpeg.getvalue()])

    def _fail(self, sentence: str) -> None:
        self.trouble = sentence

    def _stop(self) -> None:
        self.playing = False
