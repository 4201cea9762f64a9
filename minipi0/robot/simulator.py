"""A simulated arm as a gymnasium environment: Meta-World's Sawyer, two cameras, an instruction.

observation  {"front": uint8[H, W, 3], "hand": uint8[H, W, 3], "state": float32[4], "prompt": str}
state        hand x, y, z (m) and gripper opening (0 ... 1): what a robot's own sensors tell
action       float32[4]: hand velocity x, y, z (1 is 0.8 m/s), gripper command, 1 closes, -1 opens
info         {"success": bool, "touched": bool, "side": int}
             touched: the wall, so far. side: -1 left, 1 right, 0 not past a wall

x points to the robot's right, y ahead, z up. Control runs at 10 Hz: an action is held for 8 of
Meta-World's steps of 12.5 ms. All chance in an episode follows from the seed given to `reset`.

`metaworld` and `mujoco` are imported when an environment is made, not before. Rendering needs an
OpenGL library: EGL, or OSMesa with MUJOCO_GL=osmesa.
"""

import atexit
import importlib
import os
import string
import sys
from collections.abc import Callable

import gymnasium
import numpy as np
from gymnasium import spaces

FPS = 10
HOLD = 8  # simulator steps an action is held for
CAMERAS = ("front", "hand")
STATE_NAMES = ["hand_x", "hand_y", "hand_z", "gripper_opening"]
ACTION_NAMES = ["velocity_x", "velocity_y", "velocity_z", "gripper"]
LEFT, RIGHT = -1, 1  # the sign of x
# From beside the robot's base over the table; Meta-World's own corner cameras hang upside down.
FRONT = dict(lookat=(0.0, 0.68, 0.08), azimuth=140, elevation=-33, distance=1.15)

Expert = Callable[[np.ndarray], np.ndarray]  # Meta-World's observation, [39] -> action, [4]


def choose_gl() -> None:
    """Without a screen: EGL, or no rendering.

    mujoco reads MUJOCO_GL when it is imported, and fails where the library is missing.
    """
    if sys.platform == "linux" and not {"DISPLAY", "MUJOCO_GL"} & set(os.environ):
        os.environ["MUJOCO_GL"] = "egl"
        try:
            importlib.import_module("mujoco")
        except ModuleNotFoundError:
            del os.environ["MUJOCO_GL"]  # not installed: make_world says so
        except Exception:
            os.environ["MUJOCO_GL"] = "disabled"  # Camera says so; everything else works


def make_world(name: str):
    """Meta-World's environment of this name, for instance "faucet-open-v3".

    Raises ImportError without metaworld.
    """
    choose_gl()
    try:
        from metaworld.env_dict import ALL_V3_ENVIRONMENTS
    except ImportError as error:
        raise ImportError(
            "the simulator needs Meta-World: pip install -r requirements.txt (Python 3.11 to 3.13)"
        ) from error
    world = ALL_V3_ENVIRONMENTS[name]()
    world._set_task_called = True  # we choose the scene, not one of its benchmarks
    world.max_path_length = sys.maxsize  # it counts simulator steps and would stop after 6 s
    return world


def snapshot(world) -> np.ndarray:
    """The simulator's whole state, which `restore` brings back bit for bit."""
    import mujoco

    state = np.empty(mujoco.mj_stateSize(world.model, mujoco.mjtState.mjSTATE_INTEGRATION))
    mujoco.mj_getState(world.model, world.data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
    return state


def restore(world, state: np.ndarray) -> None:
    """Set the simulator to a state of `snapshot`."""
    import mujoco

    mujoco.mj_resetData(world.model, world.data)
    mujoco.mj_setState(world.model, world.data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
    mujoco.mj_forward(world.model, world.data)


def check_action(action) -> np.ndarray:
    """An action, 4 finite numbers, as float64; raises ValueError for anything else."""
    if np.shape(action) != (4,) or not np.isfinite(action).all():
        raise ValueError(f"an action is 4 finite numbers (vx, vy, vz, gripper), got {action!r}")
    return np.asarray(action, dtype=np.float64)


def proprioception(seen: np.ndarray) -> np.ndarray:
    """What a real robot knows of itself, float32[4]: hand position (m), gripper opening (0 ... 1).

    seen: float64[39], Meta-World's observation.
    """
    return seen[:4].astype(np.float32)


class Camera:
    """Pictures of a Meta-World scene; markers that only the reward knows stay hidden.

    Twice the size is rendered and averaged by twos, without shadows: in software (64 pixels) 7 ms,
    where multisampling takes 12. A picture for people, of more than 160 pixels, is multisampled:
    there the averaging costs more.

    size: pixels a side. front: the fixed camera, one of Meta-World's by name, or where it looks
        and from where: lookat and distance in metres, azimuth and elevation in degrees.
    decorate: called with mujoco's scene before it is drawn, to add what is not simulated.
    Raises RuntimeError where no OpenGL is found.
    """

    def __init__(
        self,
        world,
        size: int,
        front: str | dict = FRONT,
        decorate: Callable = lambda scene: None,
    ):
        import mujoco

        visual = world.model.vis
        self.world, self.size, self.fine = world, size, 2 if size <= 160 else 1
        self.decorate = decorate
        visual.quality.shadowsize, visual.quality.offsamples = 0, 0 if self.fine == 2 else 4
        visual.global_.offwidth = visual.global_.offheight = max(480, self.fine * size)
        try:
            mujoco.gl_context.GLContext  # noqa: B018 (absent when rendering is disabled)
            self.renderer = mujoco.Renderer(world.model, self.fine * size, self.fine * size)
        except Exception as error:  # which one depends on what is missing
            raise RuntimeError(
                "no OpenGL to render with: install EGL, or OSMesa and set MUJOCO_GL=osmesa; it is "
                "chosen when mujoco is first imported, so make the environment before you import "
                "mujoco yourself"
            ) from error
        atexit.register(self.close)  # before mujoco's own exit handler closes the display under it
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self.renderer.scene.flags[flag] = 0
        self.options = mujoco.MjvOption()
        self.options.sitegroup[:] = 0  # the goal markers are sites
        self.views = {"front": front, "hand": "gripperPOV"}
        if isinstance(front, dict):
            self.views["front"] = mujoco.MjvCamera()
            for name, value in front.items():
                setattr(self.views["front"], name, value)

    def __call__(self, camera: str = "front") -> np.ndarray:
        """The scene as it is, (size, size, 3) uint8."""
        self.renderer.update_scene(self.world.data, self.views[camera], self.options)
        self.decorate(self.renderer.scene)
        picture = self.renderer.render()
        if self.fine == 1:
            return picture
        fine = picture.reshape(self.size, 2, self.size, 2, 3)
        return (fine.mean(axis=(1, 3)) + 0.5).astype(np.uint8)

    def close(self) -> None:
        """Free the OpenGL context; more than once does no harm."""
        atexit.unregister(self.close)
        self.renderer.close()


class Robot(gymnasium.Env):
    """A task for the arm. A subclass fills in `expert` and, where it must, the rest of that part.

    world: Meta-World's environment. prompt: the instruction; it may be changed at any time.
    image_size: pixels a side. max_steps: frames until an episode is truncated.
    pictures: False leaves them out of what `reset` and `step` return. Rendering is the expensive
        part, and a policy that acts in chunks looks at few frames: it calls `observe`.
    cameras: those to see through. front: where the front camera stands, see `Camera`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": FPS}

    def __init__(
        self,
        world,
        prompt: str,
        image_size: int = 64,
        max_steps: int = 100,
        pictures: bool = True,
        cameras: tuple[str, ...] = CAMERAS,
        front: str | dict = FRONT,
        render_mode: str | None = None,
    ):
        if image_size < 8 or max_steps < 1:
            raise ValueError(
                "image_size must be at least 8 and max_steps at least 1, "
                f"not {image_size} and {max_steps}"
            )
        if not set(cameras) <= set(CAMERAS):
            raise ValueError(f"cameras are {CAMERAS}, not {cameras}")
        self.world, self.prompt, self.image_size = world, prompt, image_size
        self.max_steps, self.pictures = max_steps, pictures
        self.cameras, self.front, self.render_mode = tuple(cameras), front, render_mode
        self._cameras: dict[int, Camera] = {}  # by size, made when first needed
        box = spaces.Box(-np.inf, np.inf, (4,), np.float32)
        text = spaces.Text(max_length=200, charset=string.printable)
        image = spaces.Box(0, 255, (image_size, image_size, 3), np.uint8)
        seen = {"state": box, "prompt": text} | {c: image for c in cameras if pictures}
        self.observation_space = spaces.Dict(seen)
        self.action_space = spaces.Box(-1, 1, (4,), np.float32)

    # ---- what a task fills in ------------------------------------------------------------------

    def place(self, rng: np.random.Generator) -> np.ndarray:
        """Put the scene into its start, by default as Meta-World's own task does.

        rng: all chance comes from it. Returns Meta-World's observation, float64[39].
        """
        space = self.world._random_reset_space
        self.world._last_rand_vec = rng.uniform(space.low, space.high)
        return self.world.reset()[0]

    def expert(self, rng: np.random.Generator) -> Expert:
        """A scripted demonstrator for one episode: from Meta-World's observation to an action."""
        raise NotImplementedError(f"{type(self).__name__} has no scripted expert")

    def simulate(self, action: np.ndarray) -> tuple[np.ndarray, bool]:
        """One of Meta-World's steps. Returns its observation and whether it counts as success."""
        seen, _, _, _, info = self.world.step(action)
        return seen, bool(info["success"])

    def judge(self) -> dict:
        """What `info` holds beside "success"."""
        return {"touched": False, "side": 0}

    def decorate(self, scene) -> None:
        """Add to mujoco's scene what is drawn and not simulated."""

    # ---- gymnasium -----------------------------------------------------------------------------

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        """A fresh scene, bit for bit the same for the same seed. Returns observation, info."""
        super().reset(seed=seed)
        self.seen, self.frame, self.success = self.place(self.np_random), 0, False
        return self.observe(self.pictures), self._info()

    def step(self, action):
        """One control step of 0.1 s. action: float[4].

        Returns observation, reward (1 at success), terminated (success), truncated, info.
        """
        action = check_action(action)
        for _ in range(HOLD):
            self.seen, success = self.simulate(action)
            self.success |= success
        self.frame += 1
        truncated = self.frame >= self.max_steps and not self.success
        observation = self.observe(self.pictures)
        return observation, float(self.success), self.success, truncated, self._info()

    def observe(self, pictures: bool = True) -> dict:
        """The observation now, with pictures unless told otherwise."""
        seen = {"state": proprioception(self.seen), "prompt": self.prompt}
        return ({c: self.render(c) for c in self.cameras} if pictures else {}) | seen

    def render(self, camera: str = "front", size: int | None = None) -> np.ndarray:
        """A picture of the scene now, uint8[size, size, 3], by default at the policy's size."""
        size = size or self.image_size
        if size not in self._cameras:
            self._cameras[size] = Camera(self.world, size, self.front, self.decorate)
        return self._cameras[size](camera)

    def projection(self, camera: str = "front") -> Callable[[np.ndarray], np.ndarray]:
        """Where points of the scene lie in a camera's picture, while the camera stands still.

        Returns a function: float[..., 3], in metres -> float[..., 2], column and row, from 0 to 1.
        """
        self.render(camera)
        view = self._cameras[self.image_size].renderer.scene.camera
        eye = (np.asarray(view[0].pos) + view[1].pos) / 2  # the scene is drawn for two eyes
        ahead, up = np.array(view[0].forward), np.array(view[0].up)
        axes = np.stack([np.cross(ahead, up), -up, ahead], axis=-1)
        half = view[0].frustum_top / view[0].frustum_near  # half the picture, at distance 1

        def project(points: np.ndarray) -> np.ndarray:
            right, down, depth = np.moveaxis((np.asarray(points) - eye) @ axes, -1, 0)
            return np.stack([right, down], axis=-1) / (depth * half)[..., None] / 2 + 0.5

        return project

    def close(self) -> None:
        """Free the OpenGL contexts."""
        while self._cameras:
            self._cameras.popitem()[1].close()

    def _info(self) -> dict:
        return {"success": self.success} | self.judge()
