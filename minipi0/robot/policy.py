"""A policy drives a robot: from camera pictures, joints and words to commands in the robot's units.

    policy = Policy.from_pretrained("runs/first", execute=8)
    policy(observation)                  # float32[k, D], k actions to execute
    policy.act(observation)              # float32[D], one action; thinks only when it has to
    Ahead(policy).act(observation)       # the same, thinking while the robot moves: `ahead`

An observation is a plain dict: {camera name: picture, …, "state": numbers, "prompt": text}. The
keys may also be openpi's or LeRobot's, see `inputs`.

Axes: H action horizon, k executed actions, D action dims, S state dims, C cameras, n samples.
"""

import copy
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from minipi0 import prompt as words
from minipi0.baselines import MODELS, NOISE, GiantDecoder, Insulated
from minipi0.checkpoint import open_checkpoint
from minipi0.checkpoint.about import of_data_set
from minipi0.data.pictures import resize_with_pad
from minipi0.normalise import normalisers
from minipi0.observation import Observation
from minipi0.pi0 import Pi0
from minipi0.robot.chunking import Ensemble, Queue, continue_chunk
from minipi0.robot.inputs import flatten, picture, short, vector

LONGEST = 1000  # characters of a prompt: what attends to more is no instruction, and costs memory
FAR = 20  # standard deviations from the training data: no robot goes there, another unit does


class Policy:
    """A model with all that stands between it and a robot.

    model: a Pi0 or a baseline: it has `config` and `sample_actions`.
    stats: normalisation statistics, by default the model's.
    cameras: what the robot calls its cameras, in the order of the model's; by default as in the
        data that the model was trained on. None in the list is a camera that the robot lacks.
    execute: k, actions of a chunk that are executed; by default all H.
    steps: Euler steps. seed: of the noise: that of an episode's i-th call depends on (seed, i).
    about: what the checkpoint says of its data, by default the model's `about`.
    delay: control steps that pass while `act` waits for a chunk; see `chunking.Queue`.
    real_time: let each chunk continue the last one, see `chunking.continue_chunk`.
    data_set: which one of a mixture this robot's is, by name.
    ensemble: the decay of `chunking.Ensemble`, ACT's is 0.01; None for no ensemble.

    Raises ValueError for options out of range and where the checkpoint does not say enough.
    """

    def __init__(
        self,
        model,
        stats: dict[str, Tensor] | None = None,
        *,
        cameras: list[str | None] | None = None,
        execute: int | None = None,
        steps: int = 10,
        seed: int = 0,
        about: dict | None = None,
        delay: int = 0,
        real_time: bool = False,
        ensemble: float | None = None,
        data_set: str | None = None,
    ):
        self.model, self.config = model.eval(), model.config
        self.about = dict(about or getattr(model, "about", None) or {})
        self.about, mixed = of_data_set(self.about, data_set)
        stats = stats or mixed or getattr(model, "stats", None)
        if not stats:
            raise ValueError(
                "the model has no normalisation statistics: pass stats=, those of its data"
            )
        self.normaliser = normalisers(stats)
        self.state_dim, self.action_dim = (
            len(self.normaliser[what].shift_and_scale()[0]) for what in ("state", "action")
        )
        if self.about.get("unsupported"):
            raise ValueError(
                f"the checkpoint's actions are made with {self.about['unsupported']}, which is not "
                "undone here: they would be wrong for the robot"
            )
        # dims of an action that are meant relative to the state at the moment of asking
        flags = self.about.get("relative_actions") or []
        self.relative = [i for i, relative in enumerate(flags) if relative]
        if self.relative and max(self.relative) >= min(self.state_dim, self.action_dim):
            raise ValueError(
                f"action {max(self.relative)} is relative to the state, which has {self.state_dim} "
                f"numbers (and an action {self.action_dim})"
            )
        self.cameras = self._choose(cameras)
        self.tokenizer = words.by_name(self.about.get("tokenizer"), self.config.vocab_size)
        self._said, self._said_tokens = None, None
        self.device = next(model.parameters()).device
        self.execute = self.config.horizon if execute is None else execute
        self.steps, self.seed = steps, seed
        self.delay, self.real_time, self.ensemble = delay, real_time, ensemble
        self.reset()

    @classmethod
    def from_pretrained(
        cls,
        path_or_repo: str | Path,
        dtype=torch.float32,
        device="cpu",
        revision: str | None = None,
        **options,
    ) -> "Policy":
        """The policy of a checkpoint.

        path_or_repo: a folder, or a Hugging Face repo id. revision: of that repository.
        dtype: of the weights, whatever the file's: a CPU is slow in bfloat16, a large model may
            need it. options: as of `Policy`.
        """
        source = open_checkpoint(path_or_repo, revision)
        named = (source.about() or {}).get("model", "Pi0")
        if named == "Regression" and (source.folder / NOISE).exists():
            named = "GaussianRegression"
        if named not in MODELS:
            raise ValueError(f"{path_or_repo} holds a {named}; known are {sorted(MODELS)}")
        model = MODELS[named].from_pretrained(path_or_repo, dtype=dtype, revision=revision)
        return cls(model.to(device), **options)

    # ---- acting --------------------------------------------------------------------------------

    def __call__(self, observation: dict) -> np.ndarray:
        """The next k actions, float32[k, D]. Raises ValueError for an observation with a fault."""
        actions = self.chunk(observation)[0, : self.execute]
        self.calls += 1
        return actions

    @property
    def needs_observation(self) -> bool:
        """Whether the next `act` looks: where rendering is dear, render only then."""
        return self.queue.wants

    def act(self, observation: dict | None = None) -> np.ndarray:
        """The next action, float32[D]; the model runs only when `needs_observation`."""
        if self.queue.wants:
            if observation is None:
                raise ValueError("a new chunk is due: give an observation (see needs_observation)")
            self.queue.add(self.think(observation))
        return self.queue.pop()

    def think(self, observation: dict) -> np.ndarray:
        """A whole chunk, float32[H, D]; with real_time it continues the one before."""
        seen = self.observe(observation)
        previous = self._left(seen) if self.real_time and self.last is not None else None
        last = self._sample(seen, 1, previous)
        chunk = self._to_robot(last, seen)[0]
        self.last, self.last_seen = last, seen
        self.calls += 1
        return chunk

    def reset(self, seed: int | None = None) -> None:
        """Begin an episode: forget the queue, count the calls from 0. seed: another one."""
        self.seed = self.seed if seed is None else seed
        self._check_options()
        self.calls, self.last, self.last_seen = 0, None, None
        if self.ensemble is None:
            self.queue = Queue(self.execute, self.delay)
        else:
            self.queue = Ensemble(self.execute, self.ensemble)

    def chunk(self, observation: dict, samples: int = 1) -> np.ndarray:
        """What the model might do here: float32[n, H, D]; the first is what the next call does."""
        seen = self.observe(observation)
        return self._to_robot(self._sample(seen, samples), seen)

    def warm_up(self, prompt: str = "go") -> float:
        """Think twice of a black picture, so that what is made at first use is there.

        Returns the seconds of the second time: times the robot's rate, it is the least `delay`.
        """
        black = np.zeros((self.config.vision.image_size,) * 2 + (3,), np.uint8)
        seen = {camera: black for camera in self.cameras if camera}
        middle = self.normaliser["state"].to_robot(torch.zeros(self.state_dim))
        twin = self.another()  # this one's episode goes on as if nothing had been
        for _ in range(2):  # with real_time, the second continues the first
            began = time.perf_counter()
            twin.think(seen | {"state": middle, "prompt": prompt})
        return time.perf_counter() - began

    def another(self) -> "Policy":
        """The same model, with a queue of its own: for another robot."""
        twin = copy.copy(self)
        twin.reset()
        return twin

    def facts(self) -> dict:
        """What a robot may want to know, as plain values."""
        names = ("state_names", "action_names", "fps")
        known = {name: self.about[name] for name in names if name in self.about}
        own = ("cameras", "state_dim", "action_dim", "execute", "steps")
        known |= {name: getattr(self, name) for name in own}
        return known | {"horizon": self.config.horizon}

    # ---- observation in ------------------------------------------------------------------------

    def observe(self, observation: dict) -> Observation:
        """The dict as the model's tensors, B = 1. Raises ValueError for a fault."""
        given = flatten(observation)
        text = given.get("prompt", given.get("task"))
        if not isinstance(text, str) or not text.strip():
            raise ValueError(
                f'the prompt is {text!r}: give the instruction as a text, observation["prompt"]'
            )
        if len(text) > LONGEST:
            raise ValueError(f"the prompt has {len(text)} characters, the most are {LONGEST}")
        images, seen = self._pictures(given)
        tokens, token_mask = self._tokens(text)
        state = self._state(given)
        found = Observation(images[None], seen[None], tokens, token_mask, state[None])
        return found.to(self.device)

    def _pictures(self, given: dict) -> tuple[Tensor, Tensor]:
        """float32[C, 3, size, size] in [-1, 1] and bool[C], False where there is no picture."""
        size = self.config.vision.image_size
        images = torch.zeros(len(self.cameras), 3, size, size)
        seen = torch.zeros(len(self.cameras), dtype=torch.bool)
        for i, camera in enumerate(self.cameras):
            if camera is None:
                continue
            name = short(camera)
            if name not in given:
                known = sorted(set(given) - {"state", "prompt", "task"})
                raise ValueError(
                    f"the observation has no picture of camera {name!r}; it has {known or 'none'}. "
                    "Name your cameras in the model's order: Policy(…, cameras=[…])"
                )
            pixels = resize_with_pad(picture(name, given[name]), size)
            images[i], seen[i] = torch.from_numpy(pixels), True
        return images.div_(127.5).sub_(1), seen

    def _state(self, given: dict) -> Tensor:
        """float32[S_model]: normalised, then padded with zeros."""
        if "state" not in given:
            raise ValueError(f'the observation has no "state"; it has {sorted(given)}')
        state = torch.from_numpy(vector("state", given["state"]))
        names = self.about.get("state_names") or []
        if len(names) != self.state_dim:
            names = [f"number {i}" for i in range(self.state_dim)]
        if state.shape != (self.state_dim,):
            raise ValueError(
                f"the state has shape {tuple(state.shape)}, expected ({self.state_dim},): {names}"
            )
        wrong = [name for name, fine in zip(names, state.isfinite(), strict=True) if not fine]
        if wrong:
            raise ValueError(f"the state holds NaN or infinity: {', '.join(wrong)}")
        state = self.normaliser["state"].to_model(state)
        far = [f"{n} ({x:+.0f})" for n, x in zip(names, state, strict=True) if abs(x) > FAR]
        if far:
            warnings.warn(
                f"the state is far from all training data: {', '.join(far)} standard deviations or "
                "half ranges. Is it in the units, and in the order, of the training data?",
                stacklevel=5,
            )
        return torch.nn.functional.pad(state, (0, self.config.state_dim - self.state_dim))

    def _tokens(self, text: str) -> tuple[Tensor, Tensor]:
        """int64[1, L] and bool[1, L]; L is the checkpoint's, more where the prompt needs more."""
        if text != self._said:
            tokens, mask = words.tokenize([text], None, self.tokenizer)
            more = max(self.about.get("prompt_length", words.LENGTH) - tokens.shape[1], 0)
            self._said = text
            self._said_tokens = tuple(torch.nn.functional.pad(x, (0, more)) for x in (tokens, mask))
        return self._said_tokens

    # ---- commands out --------------------------------------------------------------------------

    def _left(self, seen: Observation) -> Tensor:
        """What is left of the last chunk, as the model would say it now: [1, overlap, D_model]."""
        left = self.last[:, self.queue.execute :]
        if self.relative:  # to the state of that time: make it relative to that of today
            before, now = (self._robot_state(one) for one in (self.last_seen, seen))
            _, scale = self.normaliser["action"].shift_and_scale()
            moved = (before - now)[self.relative] / scale[self.relative]
            left = left.clone()
            left[..., self.relative] += moved.to(left)
        return left

    def _robot_state(self, seen: Observation) -> Tensor:
        """float32[S], in the robot's units."""
        return self.normaliser["state"].to_robot(seen.state[0, : self.state_dim].float().cpu())

    def _sample(self, seen: Observation, samples: int, previous: Tensor | None = None) -> Tensor:
        """Chunks in the model's numbers, [n, H, D_model]."""
        c = self.config
        source = np.random.SeedSequence([self.seed, self.calls]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(source))
        # drawn one by one: the first does not depend on how many there are
        noise = [torch.randn(c.horizon, c.action_dim, generator=generator) for _ in range(samples)]
        noise = torch.stack(noise).to(self.device)
        seen = seen[torch.zeros(samples, dtype=torch.long)]
        if previous is not None:
            return continue_chunk(self.model, seen, noise, previous, self.delay, self.steps)
        return self.model.sample_actions(seen, noise=noise, steps=self.steps)

    def _to_robot(self, chunks: Tensor, seen: Observation) -> np.ndarray:
        """float32[n, H, D]: without the padded dims, in the robot's units, absolute."""
        actions = self.normaliser["action"].to_robot(chunks[..., : self.action_dim].float().cpu())
        if self.relative:
            actions[..., self.relative] += self._robot_state(seen)[self.relative]
        if not actions.isfinite().all():
            raise FloatingPointError(
                "the model's chunk holds NaN or infinity: its weights may be broken, or float16 "
                "overflowed (load it with dtype=torch.float32 or bfloat16)"
            )
        return actions.numpy()

    # ---- options -------------------------------------------------------------------------------

    def _choose(self, cameras) -> list[str | None]:
        trained = self.about.get("cameras")
        if cameras is None and trained is None:
            raise ValueError("the checkpoint does not say which cameras it saw: pass cameras=[…]")
        if isinstance(cameras, str):
            raise ValueError(f"cameras is a list of names, not the text {cameras!r}")
        if cameras is not None and trained is not None and len(cameras) != len(trained):
            raise ValueError(
                f"cameras names {len(cameras)}, the model was trained with {len(trained)}: "
                f"{trained}; put None where the robot has none"
            )
        chosen = [c if c is None else short(c) for c in (trained if cameras is None else cameras)]
        twice = [c for c in chosen if c is not None and chosen.count(c) > 1]
        if twice:
            raise ValueError(f"cameras names {twice[0]!r} twice: {chosen}")
        return chosen

    def _check_options(self) -> None:
        horizon = self.config.horizon
        for name in ("execute", "steps", "delay", "seed"):
            if not isinstance(getattr(self, name), int | np.integer):
                raise ValueError(f"{name} must be a whole number, not {getattr(self, name)}")
        if self.steps < 1 or self.seed < 0:
            raise ValueError(
                "steps must be at least 1 and the seed must not be negative: "
                f"{self.steps}, {self.seed}"
            )
        if not 1 <= self.execute <= horizon:
            raise ValueError(
                f"execute must lie between 1 and the horizon, {horizon}: {self.execute}"
            )
        most = min(self.execute, horizon - self.execute)
        if not 0 <= self.delay <= most:
            raise ValueError(
                f"delay must lie between 0 and {most}, not {self.delay}: a chunk of {horizon} has "
                f"to last for the delay and {self.execute} executed actions"
            )
        if self.ensemble is not None and (self.delay or self.real_time):
            raise ValueError("an ensemble knows no delay and no real_time: choose one of them")
        if self.ensemble is not None and not np.isfinite(self.ensemble):
            raise ValueError(f"the decay of an ensemble must be finite, not {self.ensemble}")
        if self.real_time and type(self.model) not in (Pi0, GiantDecoder, Insulated):
            raise ValueError(f"real_time needs a flow model, not a {type(self.model).__name__}")
