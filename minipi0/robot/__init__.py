"""What acts: the simulated robot, and what drives a robot, simulated or real.

Importing this registers the environments, "minipi0/TASK-v0"; the simulator itself is imported
when one is made.
"""

import gymnasium

from minipi0.robot import tasks

WALL = "minipi0.robot.wall:Wall"
gymnasium.register("minipi0/Wall-v0", entry_point=WALL)
gymnasium.register("minipi0/WallLeft-v0", entry_point=WALL, kwargs={"side": "left"})
gymnasium.register("minipi0/WallRight-v0", entry_point=WALL, kwargs={"side": "right"})
tasks.register()
gymnasium.register("minipi0/Touch-v0", entry_point="minipi0.robot.touch:Touch")
