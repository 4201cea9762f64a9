"""Touch the thing that is named: a table with things of many names, told apart by words alone.

A name is a colour and a shape, "red ball". Demonstrations ask for some of the names only, TRAINED.
The other names differ in what is new: a pair of known words (NEW_PAIRS) or a colour of which no
demonstrator ever speaks (NEW_COLOURS), though things of every colour stand in every picture. So
what a policy does with such a word tells what it has from elsewhere: from its VLM.

The things are drawn into the picture, not simulated: touching is a distance.
"""

from dataclasses import dataclass

import numpy as np

from minipi0.robot.simulator import Expert, Robot, make_world, restore, snapshot

COLOURS = {
    "black": (0.04, 0.04, 0.04),
    "blue": (0.1, 0.2, 0.9),
    "green": (0.1, 0.65, 0.15),
    "pink": (1.0, 0.5, 0.8),
    "purple": (0.45, 0.1, 0.65),
    "red": (0.9, 0.08, 0.08),
    "white": (1.0, 1.0, 1.0),
    "yellow": (1.0, 0.85, 0.1),
}
SHAPES = {  # half sizes in metres: x, y, z
    "ball": (0.045, 0.045, 0.045),
    "cube": (0.04, 0.04, 0.04),
    "post": (0.026, 0.026, 0.065),
}
NAMES = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)
SPOKEN = tuple(COLOURS)[::2]  # black, green, purple, white: every second one of the alphabet
NEW_PAIRS = tuple(f"{colour} {tuple(SHAPES)[i % 3]}" for i, colour in enumerate(SPOKEN))
NEW_COLOURS = tuple(name for name in NAMES if name.split()[0] not in SPOKEN)
TRAINED = tuple(name for name in NAMES if name not in NEW_PAIRS + NEW_COLOURS)

LOW, HIGH = (-0.24, 0.55), (0.24, 0.85)  # m, where things stand
APART = 0.14  # m, between two things
NEAR = 0.06  # m from hand to a thing's top: that is a touch
ABOVE = 0.025  # m, so far above the top the hand is when the fingertips touch
SPEED = 0.45  # the expert's, in units of the action
MANNERS = ("direct", "roundabout")  # of the expert
FRONT = dict(lookat=(0.0, 0.67, 0.03), azimuth=-90, elevation=-58, distance=0.82)


@dataclass(frozen=True)
class Thing:
    """A thing on the table. name: "red ball". x, y: its middle (m)."""

    name: str
    x: float
    y: float

    @property
    def half(self) -> tuple[float, float, float]:
        return SHAPES[self.name.split()[1]]

    @property
    def touch(self) -> np.ndarray:
        """Where the hand is when it touches the thing, float64[3]."""
        return np.array([self.x, self.y, 2 * self.half[2] + ABOVE])


def scatter(names: list[str], rng: np.random.Generator) -> list[Thing]:
    """Things with these names, at random places that do not overlap."""
    things: list[Thing] = []
    while len(things) < len(names):
        x, y = rng.uniform(LOW, HIGH)
        if all(np.hypot(x - other.x, y - other.y) > APART for other in things):
            things.append(Thing(names[len(things)], float(x), float(y)))
    return things


class Touch(Robot):
    """Touch one of the things, the one that is named.

    Success: the hand is at the named thing and was at no other before ("touched" in the info).

    names: of what may be asked for. count: of things on the table; with one, the picture alone
        gives the task away. manner: how the expert demonstrates. options: of `Robot`.
    Raises ValueError for an unknown name or manner, and for a count that is not 1 to 5.
    """

    def __init__(
        self,
        names: tuple[str, ...] = TRAINED,
        count: int = 3,
        manner: str = "direct",
        **options,
    ):
        if not names or not set(names) <= set(NAMES):
            raise ValueError(f"names are some of {', '.join(NAMES)}, not {names}")
        if not 1 <= count <= 5:
            raise ValueError(f"count must lie between 1 and 5, not {count}")
        if manner not in MANNERS:
            raise ValueError(f"the expert's manner is one of {MANNERS}, not {manner!r}")
        self.names, self.count, self.manner = tuple(names), count, manner
        options = dict(max_steps=30, front=FRONT, cameras=("front",)) | options
        super().__init__(make_world("reach-v3"), "", **options)
        model = self.world.model
        model.geom_rgba[model.geom_bodyid == model.body("obj").id, 3] = 0  # its puck is not ours
        self.start = None  # the simulator's state with the arm at rest, made once
        self.things: list[Thing] = []

    def place(self, rng: np.random.Generator) -> np.ndarray:
        """Things at random places, the first is asked for; the hand behind them, above the table.

        Sets `prompt`.
        """
        wanted = str(rng.choice(self.names))
        others = rng.choice([name for name in NAMES if name != wanted], self.count - 1, False)
        self.things = scatter([wanted, *map(str, others)], rng)
        self.prompt = f"find the {wanted}"
        self.touched = False
        return self.move_hand(rng.uniform((-0.12, 0.44, 0.2), (0.12, 0.5, 0.28)))

    def move_hand(self, to: np.ndarray) -> np.ndarray:
        """The arm at rest with its hand at `to`, float64[3]. Returns what `_advance` does."""
        world = self.world
        if self.start is None:
            world._last_rand_vec = np.array([0.0, 0.6, 0.02, 0.1, 0.8, 0.2])
            world.reset()
            self.start = snapshot(world)
        restore(world, self.start)
        for _ in range(60):  # simulator steps
            seen, _ = self._advance(np.array([*10 * (to - world.get_endeff_pos()), -1.0]))
        return seen

    def simulate(self, action: np.ndarray) -> tuple[np.ndarray, bool]:
        """One simulator step, without the reward that Meta-World would compute."""
        seen, hand = self._advance(action)
        reached = [np.linalg.norm(hand - thing.touch) < NEAR for thing in self.things]
        self.touched |= any(reached[1:])
        return seen, bool(reached[0] and not self.touched)

    def judge(self) -> dict:
        """Whether the hand has touched another thing so far."""
        return {"touched": bool(self.touched), "side": 0}

    def expert(self, rng: np.random.Generator) -> Expert:
        """Goes over the thing, and down on it.

        A roundabout expert is slow or hasty. First it goes to any place above the table, and in
        half of the episodes to a wrong thing: it sees its mistake above it and turns round.
        """
        target = self.things[0].touch
        speed, stops = rng.uniform(0.9, 1.1) * SPEED, []
        if self.manner == "roundabout":
            speed = rng.uniform(0.4, 1.4) * SPEED
            wrong = rng.random() < 0.5 and self.count > 1
            x, y = self.things[1].touch[:2] if wrong else rng.uniform(LOW, HIGH)
            stops = [np.array([x, y, rng.uniform(0.2, 0.26)])]

        def act(seen: np.ndarray) -> np.ndarray:
            hand = seen[:3]
            if stops and np.linalg.norm(stops[0] - hand) < 0.05:
                stops.pop()
            wanted = (stops[0] if stops else target) - hand
            # high until nearly above it: so the hand touches nothing on its path
            if not stops and np.hypot(*wanted[:2]) > 0.05:
                wanted[2] = max(wanted[2], 0.16 - hand[2])
            move = 8 * wanted
            move *= min(1, speed / max(np.linalg.norm(move), 1e-9))
            return np.array([*move, -1], dtype=np.float32)

        return act

    def decorate(self, scene) -> None:
        """Draw the things."""
        import mujoco

        kinds = {"ball": "SPHERE", "cube": "BOX", "post": "CYLINDER"}
        for thing in self.things:
            colour, shape = thing.name.split()
            half = np.array(thing.half)
            mujoco.mjv_initGeom(
                scene.geoms[scene.ngeom],
                getattr(mujoco.mjtGeom, f"mjGEOM_{kinds[shape]}"),
                half[[0, 2, 2]] if shape == "post" else half,
                np.array([thing.x, thing.y, half[2]]),
                np.eye(3).ravel(),
                np.array([*COLOURS[colour], 1], dtype=np.float32),
            )
            scene.ngeom += 1

    def _advance(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One of Meta-World's steps without its reward, which is slow, and without what it sees
        beside the arm: [hand x, y, z, gripper opening], and the hand (m).
        """
        world = self.world
        world.set_xyz_action(action[:3])
        world.do_simulation([action[3], -action[3]], world.frame_skip)
        hand = world.get_endeff_pos()
        claws = [world.data.body(name).xpos for name in ("rightclaw", "leftclaw")]
        opening = np.clip(np.linalg.norm(claws[0] - claws[1]) / 0.1, 0, 1)
        return np.array([*hand, opening]), hand
