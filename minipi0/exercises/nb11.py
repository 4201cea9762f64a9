"""Checks of notebook 11's exercises, and the small robot of its bug hunts."""

from collections import deque

import numpy as np
from scipy import stats

from minipi0.exercises import exercise

RADIUS, START, GOAL = 0.4, -2.0, 2.0


class ObstacleCourse:
    """A point starts at (-2, about 0) and must get to x = 2; a disc at the origin stops it.

    It behaves as the simulator's environments: `reset(seed=…)` fixes the start, `terminated` means
    success, `truncated` that the time is up. paths: a list of positions per episode so far.
    """

    def __init__(self, max_steps: int = 40):
        self.max_steps, self.paths = max_steps, []

    def reset(self, *, seed: int):
        self.position = np.array([START, np.random.default_rng(seed).uniform(-0.3, 0.3)])
        self.frame = 0
        self.paths.append([self.position])
        return self._observation(), {"success": False}

    def step(self, action):
        wanted = self.position + np.asarray(action)
        if np.linalg.norm(wanted) > RADIUS:  # the disc does not give way
            self.position = wanted
        self.paths[-1].append(self.position)
        self.frame += 1
        success = bool(self.position[0] >= GOAL)
        truncated = self.frame >= self.max_steps and not success
        return self._observation(), float(success), success, truncated, {"success": success}

    def _observation(self) -> dict:
        return {"state": self.position.astype(np.float32)}


class ChunkPolicy:
    """Plans 20 moves past the disc, executes them all, plans anew; some plans hit the disc.

    As minipi0.robot's Policy: `act(observation)` gives one action, `reset(seed)` empties the queue
    and fixes the noise.
    """

    def __init__(self):
        self.queue = deque()
        self.reset(0)

    def reset(self, seed: int) -> None:
        self.queue.clear()
        self.noise = np.random.default_rng(seed)

    def act(self, observation: dict) -> np.ndarray:
        if not self.queue:
            self.queue.extend(self._chunk(observation["state"].astype(float)))
        return self.queue.popleft()

    def _chunk(self, position: np.ndarray) -> list[np.ndarray]:
        speed, side = self.noise.uniform(0.14, 0.2), self.noise.choice([-1, 1])
        if abs(position[1]) > 0.35:
            side = np.sign(position[1])
        height = 0.0 if self.noise.random() < 0.1 else 0.9 * side
        moves = []
        for _ in range(20):
            aim = np.array([0.0, height] if position[0] < -0.05 else [GOAL + 0.5, 0.0]) - position
            moves.append(speed * aim / np.linalg.norm(aim))
            position = position + moves[-1]
        return moves


def true_outcomes(seeds) -> list[bool]:
    """What a right evaluation of ChunkPolicy on ObstacleCourse finds, a trial per seed."""
    env, policy, outcomes = ObstacleCourse(), ChunkPolicy(), []
    for seed in seeds:
        observation, info = env.reset(seed=seed)
        policy.reset(seed)
        done = False
        while not done:
            observation, _, terminated, truncated, info = env.step(policy.act(observation))
            done = terminated or truncated
        outcomes.append(info["success"])
    return outcomes


@exercise("11.1")
def trials_without_a_failure(answer):
    """The smallest n with 0.95 ** n <= 0.05."""
    if answer == 60:
        return (
            "that is the rule of three, 3 / n = 5 %, and almost right. Find the smallest exact n."
        )
    if answer == 58:
        return "0.95 to the power 58 is 5.1 %, just above 5 %."
    if answer in (72, 73):
        return "that is the two-sided interval, 2.5 % on a side. Here all 5 % are on one side."
    if answer in (19, 20):
        return (
            "20 trials of a 95 % policy have one failure on average, but a row of 20 successes has "
            "a chance of 36 %."
        )
    if answer != 59:
        chance = 0.95 ** float(answer)
        return (
            f"a policy of 95 % has {answer} successes in a row with chance {chance:.1%}. It should "
            "be at most 5 %, and n no larger than needed."
        )


@exercise("11.2")
def best_of(answer):
    """Mean of the highest of m binomial rates: sum over k >= 1 of 1 - P(one < k) ** m, over n."""
    for p, n, m in ((0.7, 10, 8), (0.5, 20, 3), (0.9, 100, 5)):
        got = float(answer(p, n, m))
        k = np.arange(n)
        right = (1 - stats.binom.cdf(k, n, p) ** m).sum() / n
        if abs(got - p) < 0.005:
            return (
                "that is what each of them scores on average. Reported is the highest of m scores."
            )
        if abs(got - n * right) < 0.05 * n:
            return "that is a number of successes. Divide it by n."
        if abs(got - (1 - (1 - p) ** m)) < 1e-6:
            return (
                "that is the chance that at least one of m single trials succeeds. Take the "
                "highest of m scores of n trials."
            )
        if abs(got - 1) < 1e-9 and right < 0.99:
            return (
                "the best of them is often below 10 of 10. Average the highest score over many "
                "repetitions."
            )
        if not abs(got - right) < 0.01:
            return (
                f"for p = {p:g}, n = {n}, m = {m} you report {got:.3f} on average. Draw m binomial "
                "numbers, take the highest, divide by n, average."
            )


@exercise("11.3")
def nothing_left_of_the_last_trial(answer):
    """A function (policy, env, seeds) -> outcomes, the same for a seed in any order."""
    seeds = list(range(40, 80))
    log = []

    class Watched(ChunkPolicy):
        def reset(self, seed):
            log.append(seed)
            super().reset(seed)

    def run(seeds):
        outcomes = answer(Watched(), ObstacleCourse(), seeds)
        return None if outcomes is None else [bool(o) for o in outcomes]

    forward = run(seeds)
    if forward is None or len(forward) != len(seeds):
        count = 0 if forward is None else len(forward)
        return f"return a list, one outcome per seed: {len(seeds)} seeds, {count} outcomes"
    given = log[1:]  # the first reset is that of the policy's own beginning
    backward = run(seeds[::-1])[::-1]
    if forward != backward:
        seed = next(s for s, a, b in zip(seeds, forward, backward, strict=True) if a != b)
        return (
            f"seed {seed} ends differently when the seeds come in another order. Something of the "
            "trial before is still there: what does the policy keep between two calls of act?"
        )
    if forward != true_outcomes(seeds):
        if len(set(given)) < len(seeds):
            return (
                "the queue is empty now, but the noise is the same in every trial. Give each trial "
                "noise of its own, by its seed."
            )
        return (
            "some outcomes are still not those of a fresh policy with the trial's own seed: reset "
            "the policy before the first act."
        )


@exercise("11.4")
def every_trial_counts(answer):
    """A function (policy, env, seeds) -> (successes, trials)."""
    seeds = list(range(100, 200))
    got = answer(ChunkPolicy(), ObstacleCourse(), seeds)
    try:
        successes, count = (int(v) for v in got)
    except (TypeError, ValueError):
        return "return two numbers: (successes, trials)"
    right = sum(true_outcomes(seeds))
    if count < len(seeds):
        return (
            f"{len(seeds)} seeds, but only {count} trials. Which trials are missing: what do they "
            "have in common?"
        )
    if count != len(seeds):
        return f"{len(seeds)} seeds, but {count} trials"
    if successes == count:
        return "now every trial counts as a success, also those whose time ran out."
    if successes != right:
        return (
            f"{successes} successes of {count}; a fresh policy with each trial's own seed has "
            f"{right}."
        )
