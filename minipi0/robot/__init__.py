"""What acts: the simulated robot, and what drives a robot, simulated or real."""
