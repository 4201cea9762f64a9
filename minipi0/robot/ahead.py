"""Control without waiting: a thread computes the next chunk while the robot executes this one.

    policy = Policy.from_pretrained("runs/first", execute=8, delay=3)
    with Ahead(policy) as ahead:
        action = ahead.act(observation)      # at the robot's rate, and it returns at once

d control steps before the executed actions end, the thread gets the observation of that moment; d
steps later its chunk takes over at action d, which is the one meant for then. If the chunk is ready
early, it still waits for its turn. So as long as a chunk takes less than d control steps, the
robot does to the last bit what `Policy.act` does with the same `delay`, however the time of a chunk
varies. Choose d from `warm_up`: a chunk of 0.25 s at 10 Hz needs a delay of 3.
"""

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from minipi0.robot.chunking import Queue


class Ahead:
    """Acts as a Policy does, and thinks in a thread of its own.

    policy: a Policy, or a `client.Client`: it has `think(observation) -> float[H, D]`, `reset`,
        `execute` and `delay`. From here on it belongs to the thread.
    wait: what to do when a chunk is late: wait for it, or (False) return None at every step until
        it is there, so that the control loop can hold the robot still.

    `late` counts the control steps of an episode at which a chunk was due after its d control
    steps and was not ready: if it is not 0, the delay is too short.
    """

    def __init__(self, policy, wait: bool = True):
        self.policy, self.wait = policy, wait
        self._thread = ThreadPoolExecutor(1, "policy")
        self._chunk: Future | None = None  # what the thread computes
        self._begin()

    @property
    def needs_observation(self) -> bool:
        """Whether the next `act` begins to think: where rendering is dear, render only then."""
        if self._chunk is None:
            return self.queue.wants
        # a chunk takes over, and is so short that the next one is due at once
        return not self.queue.actions and self.queue.execute <= self.queue.delay

    def act(self, observation: dict | None = None) -> np.ndarray | None:
        """The next action, float32[D]; None where `wait` is False and the chunk is not ready.

        Raises ValueError where an observation is due and none is given. What goes wrong in the
        thread, for instance a fault of an observation, is raised when its chunk is due; the next
        call with an observation tries again.
        """
        if self._due and not self._take_over():
            return None
        if self._chunk is None and self.queue.wants:
            if observation is None:
                raise ValueError("a new chunk is due: give an observation (see needs_observation)")
            self._left = len(self.queue.actions)
            self._chunk = self._thread.submit(self.policy.think, observation)
            if self._due and not self._take_over():  # an episode's first chunk, or no delay at all
                return None
        return self.queue.pop()

    @property
    def _due(self) -> bool:
        return self._chunk is not None and not self.queue.actions

    def _take_over(self) -> bool:
        """Let the new chunk be executed; False where it is not ready and nobody waits for it."""
        ready = self._chunk.done()
        self.late += not ready and self._left > 0
        if not (ready or self.wait):
            return False
        chunk, self._chunk = self._chunk, None
        self.queue.add(chunk.result(), self._left)
        return True

    def reset(self, seed: int | None = None) -> None:
        """Begin an episode, as `Policy.reset` does; a chunk that is being computed is forgotten."""
        if self._chunk is not None:
            self._chunk.exception()  # waits: the thread uses the policy until then
            self._chunk = None
        self.policy.reset(seed)
        self._begin()

    def close(self) -> None:
        """End the thread, when the chunk that is being computed is there."""
        self._thread.shutdown(cancel_futures=True)

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _begin(self) -> None:
        self.queue = Queue(self.policy.execute, self.policy.delay)
        self._left, self.late = 0, 0  # left: actions, when the chunk was asked for
