"""The course's one picture: a wall, two ways past it, and their mean, which leads into the wall.

The arm starts with the puck in its gripper, in front of the middle of the wall, `runway` metres
away from it; the puck is to be put down behind the wall. Nothing in the picture and nothing in the
state tells the side: at most the words do. So what decides success is the choice of a side, made in
time: with a long runway there is time to drift to one, with a short one there is not.
"""

import numpy as np

from minipi0.robot.simulator import LEFT, RIGHT, Expert, Robot, make_world, restore, snapshot

PROMPTS = {  # how demonstrators say it; the first is the usual instruction
    None: ("carry the puck past the wall", "go around the wall", "past the wall"),
    "left": (
        "carry the puck past the left of the wall",
        "go around the wall on the left",
        "past the left",
    ),
    "right": (
        "carry the puck past the right of the wall",
        "go around the wall on the right",
        "past the right",
    ),
}
PARAPHRASES = {  # what no demonstrator says
    None: ("please bring the puck behind the wall", "take it around"),
    "left": ("please keep to the left side", "take it around, left of the wall"),
    "right": ("please keep to the right side", "take it around, right of the wall"),
}
SIGN = {"left": LEFT, "right": RIGHT}
HALF = np.array([0.08, 0.01, 0.08])  # half the wall's width, depth and height
WALL = np.array([0.0, 0.75, HALF[2]])  # its centre
GOAL = np.array([0.0, 0.88, 0.02])  # of the puck, on the table behind the wall; marked nowhere
SHORT, LONG = 0.1, 0.3  # m, runways: with the long one a mean drifts to a side in time
EXECUTE = 7  # actions of a chunk: with 4 even a mean decides in time, with 8 ten steps pass less
NEAR = 0.07  # m: so close to the goal counts
HEIGHT = 0.12  # of the hand while it carries; the puck hangs below it, lower than the wall
GRIP = 0.045  # m, from the puck's centre up to the hand's
FRONT = dict(lookat=(0.0, 0.73, 0.07), azimuth=133, elevation=-32, distance=1.0)


class Wall(Robot):
    """Carry the puck past the wall and put it down.

    Success: put down at the goal, the wall never touched, past the side that was asked for.

    runway: how far before the wall's face the hand starts, 0.08 to 0.3 m; or a pair, to draw it
        from at every reset.
    side: None, "left" or "right": what the instruction asks for. The scene is the same.
    options: of `Robot`.
    Raises ValueError for another runway or side.
    """

    def __init__(
        self, runway: float | tuple[float, float] = SHORT, side: str | None = None, **options
    ):
        low, high = np.broadcast_to(runway, 2)
        if not 0.08 <= low <= high <= LONG:
            raise ValueError(f"runway must lie between 0.08 and 0.3 m, not {runway}")
        if side not in PROMPTS:
            raise ValueError(f'side must be None, "left" or "right", not {side!r}')
        self.runway, self.side = (float(low), float(high)), side
        options = dict(max_steps=60, front=FRONT) | options
        super().__init__(_world(), PROMPTS[side][0], **options)
        self.grasped = _grasp(self.world)

    def place(self, rng: np.random.Generator) -> np.ndarray:
        """Hand and puck in front of the wall's middle, each number at most 1 cm off."""
        restore(self.world, self.grasped)
        y = WALL[1] - HALF[1] - rng.uniform(*self.runway)
        start = rng.uniform((-0.01, y - 0.002, HEIGHT - 0.005), (0.01, y + 0.002, HEIGHT + 0.005))
        for _ in range(160):  # simulator steps
            seen = _advance(self.world, np.array([*10 * (start - self.world.get_endeff_pos()), 1]))
        self.touched, self.passed = False, 0
        return seen

    def simulate(self, action: np.ndarray) -> tuple[np.ndarray, bool]:
        """One simulator step, without the reward that Meta-World would compute."""
        seen = _advance(self.world, action)
        model, data = self.world.model, self.world.data
        self.touched |= bool((model.geom_bodyid[data.contact.geom] == model.body("wall").id).any())
        if self.passed == 0 and seen[1] > WALL[1]:
            self.passed = RIGHT if seen[0] > 0 else LEFT
        down = seen[3] > 0.8 and np.linalg.norm(seen[4:7] - GOAL) < NEAR
        asked = self.side is None or self.passed == SIGN[self.side]
        return seen, bool(down and asked and not self.touched)

    def judge(self) -> dict:
        """Whether arm or puck touched the wall so far, and the side on which the hand passed it."""
        return {"touched": self.touched, "side": self.passed}

    def expert(self, rng: np.random.Generator) -> Expert:
        """Carries past the side asked for, else past either, at its own speed and height.

        It says the instruction in one of its wordings: `prompt` is set to that.
        """
        side = RIGHT if rng.random() < 0.5 else LEFT
        demonstrator = Demonstrator(SIGN.get(self.side, side), rng)
        self.prompt = str(rng.choice(PROMPTS[self.side]))
        return demonstrator


class Demonstrator:
    """Heads for a point beside the wall, for one behind it, for the goal, and lets go there."""

    def __init__(self, side: int, rng: np.random.Generator):
        x, height = side * rng.uniform(0.175, 0.195), HEIGHT + rng.uniform(-0.005, 0.005)
        self.speed = rng.uniform(0.38, 0.42)
        self.way = [
            np.array([x, WALL[1] - 0.08, height]),
            np.array([x, WALL[1] + 0.07, height]),
            GOAL + (0, 0, GRIP + 0.01),
        ]

    def __call__(self, seen: np.ndarray) -> np.ndarray:
        """The action, float32[4]. seen: float64[39], Meta-World's observation."""
        hand = seen[:3]
        if len(self.way) > 1 and (np.linalg.norm((self.way[0] - hand)[:2]) < 0.04):
            self.way.pop(0)
        wanted = self.way[0] - hand
        let_go = len(self.way) == 1 and np.linalg.norm(wanted) < 0.025
        move = 8 * wanted
        move = move * min(1, self.speed / max(np.linalg.norm(move), 1e-9))
        return np.array([*move, -1 if let_go else 1], dtype=np.float32)


def _world():
    """Meta-World's pick-and-place with a wall, of another size and place, in colours that show."""
    world = make_world("pick-place-wall-v3")
    model = world.model
    wall, puck = model.body("wall"), model.body("obj")
    wall.pos[:] = WALL
    for body, colour in ((wall, (0.25, 0.4, 0.75, 1)), (puck, (1, 0.85, 0.1, 1))):
        geoms = model.geom_bodyid == body.id
        model.geom_matid[geoms] = -1
        model.geom_rgba[geoms] = colour
    geoms = model.geom_bodyid == wall.id
    model.geom_size[geoms] = HALF  # and what the collision search derives from it:
    model.geom_rbound[geoms], model.geom_aabb[geoms, 3:] = np.linalg.norm(HALF), HALF
    return world


def _advance(world, action: np.ndarray) -> np.ndarray:
    """One of Meta-World's steps without its reward. Returns its observation, float64[39]."""
    world.set_xyz_action(action[:3])
    world.do_simulation([action[3], -action[3]], world.frame_skip)
    return world._get_obs()


def _grasp(world) -> np.ndarray:
    """Let the arm take the puck. Returns the simulator's state, for `restore`."""

    world.hand_init_pos = np.array([0.0, 0.6, 0.2])
    world._last_rand_vec = np.array([0.0, 0.6, 0.02, *GOAL])
    seen = world.reset()[0]
    for place, grip, steps in (
        ((0, 0, GRIP), -1, 160),
        ((0, 0, GRIP), 1, 80),
        ((0, 0, 0.1), 1, 80),
    ):
        target = np.array([*seen[4:6], 0.02]) + place
        for _ in range(steps):
            seen = _advance(world, np.array([*10 * (target - world.get_endeff_pos()), grip]))
    if not np.linalg.norm(seen[4:7] + (0, 0, GRIP) - seen[:3]) < 0.03:
        raise RuntimeError(f"the arm did not take the puck: hand {seen[:3]}, puck {seen[4:7]}")
    return snapshot(world)
