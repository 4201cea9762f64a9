"""What acts: the simulated robot, and what drives a robot, simulated or real.

Importing this registers the environments; the simulator itself is imported when one is made.
"""

import gymnasium

gymnasium.register("minipi0/Wall-v0", entry_point="minipi0.robot.wall:Wall")
