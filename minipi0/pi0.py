"""pi0 (arXiv 2410.24164): a vision-language model and an action expert that turns noise into an action chunk.

Tokens, in this order:   [ camera 1 … camera C | instruction ]   [ state | A_1^tau … A_H^tau ]
                          prefix, VLM expert                      suffix, action expert

Blocks: prefix, state, actions. A token sees its own block, all of it, and the blocks before:

                 prefix  state  actions
      prefix       x
      state        x       x
      actions      x       x       x         (the whole chunk: a_1 sees a_H)

Time is the paper's, tau = 0 noise and tau = 1 action. Released code has t = 1 - tau and predicts the opposite velocity: here 1 - tau is
embedded, and `checkpoint` negates action_out_proj when it reads or writes released weights. Nothing else needs to know.

Axes: B batch, C cameras, T tokens (P prefix, L language, S = 1 + H suffix), H action horizon, D action dims, W an expert's width.
"""

import math
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import SiglipVisionConfig, SiglipVisionModel

from minipi0 import checkpoint, flow
from minipi0.compiled import compiled
from minipi0.config import ExpertConfig, Pi0Config
from minipi0.gemma import Cache, Table, TwoExperts, attention_bias, rotary_table
from minipi0.observation import Observation


def time_embedding(tau: Tensor, width: int) -> Tensor:
    """Sines and cosines of t = 1 - tau, with periods from 0.004 to 4. tau: (B,), any float dtype. Returns (B, width) float64.

    The phase 2 pi t / period reaches 1571 radians: in float32 it would be off by 1e-4. Hence float64, and a device that has it.
    """
    device = "cpu" if tau.device.type == "mps" else tau.device
    t = 1 - tau.to(device, torch.float64)
    period = 4e-3 * 1000 ** torch.linspace(0, 1, width // 2, dtype=torch.float64, device=device)
    phase = 2 * math.pi * t[:, None] / period
    return torch.cat([phase.sin(), phase.cos()], dim=-1)


def block_mask(starts: Tensor, valid: Tensor) -> Tensor:
    """Who may look at whom. starts: (T,) bool, True where a new block begins; valid: (B, T) bool. Returns (B, T, T) bool, rows look.

    A cumulative sum numbers the blocks; a token looks at its own block and at earlier ones. Padding neither looks nor is seen.
    """
    block = starts.cumsum(0)
    return (block[None, :] <= block[:, None]) & valid[:, None, :] & valid[:, :, None]


class Pi0(nn.Module):
    """The full two-expert model. Shapes are checked at `velocity`, `loss` and `sample_actions`; all raise ValueError."""

    def __init__(self, config: Pi0Config):
        super().__init__()
        self.config = config
        self.stats: dict[str, Tensor] | None = (
            None  # of the data it was trained on, where its checkpoint told
        )
        vision, width, action_width = config.vision, config.vlm.width, config.action_expert.width
        tower = SiglipVisionConfig(
            image_size=vision.image_size,
            patch_size=vision.patch_size,
            hidden_size=vision.width,
            num_hidden_layers=vision.depth,
            num_attention_heads=vision.num_heads,
            intermediate_size=vision.mlp_dim,
            vision_use_head=False,
        )
        self.vision = SiglipVisionModel(tower)
        self.projector = nn.Linear(vision.width, width)
        self.embedding = nn.Embedding(config.vocab_size, width)
        self.experts = TwoExperts(config.vlm, config.action_expert)
        self.state_proj = nn.Linear(config.state_dim, action_width)
        self.action_in_proj = nn.Linear(config.action_dim, action_width)
        self.action_time_mlp_in = nn.Linear(2 * action_width, action_width)
        self.action_time_mlp_out = nn.Linear(action_width, action_width)
        self.action_out_proj = nn.Linear(action_width, config.action_dim)
        nn.init.normal_(
            self.embedding.weight, std=width**-0.5
        )  # times sqrt(width) below: unit variance

    # ---- tokens -------------------------------------------------------------------------------------------------------------

    def embed_prefix(self, observation: Observation) -> tuple[Tensor, Tensor]:
        """Images, then language: (B, P, W_vlm) and which of them are real, (B, P)."""
        b, cameras = observation.image_mask.shape
        masked = ~observation.image_mask.bool()[:, :, None, None, None]
        images = (
            observation.images.masked_fill(masked, 0).flatten(0, 1).to(self.projector.weight.dtype)
        )  # no NaN, even in a gradient
        tokens = (
            self.embedding(observation.tokens) * self.config.vlm.width**0.5
        )  # Gemma scales text; image features come unscaled
        if cameras:
            features = self.projector(
                self.vision(images).last_hidden_state
            )  # (B * C, tokens a camera, W_vlm)
            tokens = torch.cat([features.reshape(b, -1, features.shape[-1]), tokens], dim=1)
        seen = observation.image_mask.bool().repeat_interleave(self.config.vision.tokens, dim=1)
        valid = torch.cat([seen, observation.token_mask.bool()], dim=1)
        return tokens.masked_fill(~valid[..., None], 0), valid

    def embed_suffix(self, state: Tensor, noisy_actions: Tensor, time: Tensor) -> Tensor:
        """The state token, then a token per action: (B, 1 + H, W_action). time: (B, W_action) or (1, W_action), from `time_embedding`."""
        dtype = self.state_proj.weight.dtype
        actions = self.action_in_proj(noisy_actions.to(dtype))
        time = time.to(dtype).to(actions.device)[:, None].expand_as(actions)
        actions = self.action_time_mlp_out(
            F.silu(self.action_time_mlp_in(torch.cat([actions, time], dim=-1)))
        )
        return torch.cat([self.state_proj(state.to(dtype))[:, None], actions], dim=1)

    def encode(self, observation: Observation) -> tuple[Cache, Tensor, Table]:
        """All that does not depend on tau: the prefix's keys and values, the suffix's attention bias and rotary table."""
        prefix, valid = self.embed_prefix(observation)
        p, s = prefix.shape[1], 1 + self.config.horizon
        valid = F.pad(valid, (0, s), value=True)
        starts = torch.zeros(p + s, dtype=torch.bool, device=valid.device)
        starts[p : p + 2] = True  # the state begins a block, the first action begins another
        allowed = block_mask(starts, valid)
        positions = valid.cumsum(1) - 1  # padding does not advance them
        _, cache = self.experts.prefix(prefix, allowed[:, :p, :p], positions[:, :p])
        bias = attention_bias(allowed[:, p:], prefix.dtype, self.experts.group)
        return cache, bias, rotary_table(positions[:, p:], self.config.vlm.head_dim)

    def decode(self, encoded, state: Tensor, noisy_actions: Tensor, time: Tensor) -> Tensor:
        """The velocity, given what `encode` returned: all that one Euler step costs. Returns (B, H, D) in the noisy actions' dtype."""
        cache, bias, table = encoded
        out = self.experts.suffix(self.embed_suffix(state, noisy_actions, time), bias, table, cache)
        return self.action_out_proj(out[:, 1:]).to(noisy_actions.dtype)

    # ---- flow matching ------------------------------------------------------------------------------------------------------

    def velocity(
        self, observation: Observation, noisy_actions: Tensor, tau: Tensor | float
    ) -> Tensor:
        """v_theta(A^tau, o), an estimate of E[A - eps | A^tau, o]. noisy_actions: (B, H, D); tau: scalar or (B,). Returns (B, H, D)."""
        self._check(observation, noisy_actions=noisy_actions)
        time = time_embedding(
            flow.check_tau(tau, len(noisy_actions)).reshape(-1), self.config.action_expert.width
        )
        return self.decode(self.encode(observation), observation.state, noisy_actions, time)

    def loss(
        self,
        observation: Observation,
        actions: Tensor,
        noise: Tensor | None = None,
        tau: Tensor | None = None,
        action_mask: Tensor | None = None,
        reduction: str = "mean",
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Conditional flow matching (Sec. IV): one noise and one tau per item, unless given. actions: (B, H, D).

        action_mask: (B, H), True where the chunk is real, not padding. reduction: "mean", or "none" for (B, H, D).
        """
        self._check(observation, actions=actions)
        if noise is None:
            noise = _randn_like(actions, generator)
        if tau is None:
            tau = flow.sample_tau(len(actions), generator, device=actions.device)
        velocity = self.velocity(observation, flow.interpolate(actions, noise, tau), tau)
        return flow.loss(velocity, actions, noise, action_mask, reduction)

    @torch.no_grad()
    def sample_actions(
        self,
        observation: Observation,
        noise: Tensor | None = None,
        steps: int = 10,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """An action chunk (B, H, D) per observation: the prefix once, then `steps` Euler steps of the action expert alone.

        noise: (B, H, D), drawn in float32 unless given. More than one chunk for an observation: repeat it along B.
        """
        if noise is None:
            shape = (len(observation.state), self.config.horizon, self.config.action_dim)
            noise = _randn_like(torch.empty(shape, device=self.state_proj.weight.device), generator)
        self._check(observation, noise=noise)
        taus = flow.step_times(steps)
        encoded = self.encode(observation)
        times = iter(
            time_embedding(taus, self.config.action_expert.width)[:, None].to(encoded[1])
        )  # (1, W) for every step
        return flow.euler(
            lambda x, tau: self.decode(encoded, observation.state, x, next(times)), noise, steps
        )

    def compile(self, frozen: bool = False, **options) -> None:
        """torch.compile, in place, the two parts that everything runs through. options: torch.compile's, for instance mode=.

        frozen=True: for sampling alone, faster still on a CPU; see `compiled`, and what it raises.
        """
        for name in ("encode", "decode"):
            self.__dict__.pop(name, None)  # what an earlier call left
            setattr(self, name, compiled(getattr(self, name), self, frozen, **options))

    def __getstate__(self) -> dict:
        """For copy and pickle: a copy is not compiled, as the compiled parts run this model's weights."""
        return {
            name: value
            for name, value in super().__getstate__().items()
            if name not in ("encode", "decode")
        }

    def _check(self, observation: Observation, **actions: Tensor) -> None:
        c, b = self.config, len(observation.state)
        cameras = observation.image_mask.shape[-1]
        expected = {
            "images": (b, cameras, 3, c.vision.image_size, c.vision.image_size),
            "image_mask": (b, cameras),
            "tokens": (b, observation.tokens.shape[-1]),
            "token_mask": (b, observation.tokens.shape[-1]),
            "state": (b, c.state_dim),
        }
        shapes = {name: tuple(getattr(observation, name).shape) for name in expected}
        for name, x in actions.items():
            shapes[name], expected[name] = tuple(x.shape), (b, c.horizon, c.action_dim)
        for name, shape in shapes.items():
            if shape != expected[name]:
                raise ValueError(f"{name} has shape {shape}, this model expects {expected[name]}")
        images, tokens = observation.images, observation.tokens
        if not images.is_floating_point():
            raise ValueError(
                f"images are {images.dtype}, expected floating-point numbers in [-1, 1]"
            )
        if flow.cheap_to_look(tokens):
            outside = tokens[(tokens < 0) | (tokens >= c.vocab_size)]
            if len(outside):
                raise ValueError(
                    f"token {outside[0].item()} is outside the vocabulary of {c.vocab_size}: was another tokenizer used?"
                )
            flow.check_finite("state", observation.state)
            flow.check_finite(
                "images",
                images.masked_fill(~observation.image_mask.bool()[:, :, None, None, None], 0),
            )

    # ---- files --------------------------------------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(
        cls,
        path_or_repo: str | Path,
        config: Pi0Config | None = None,
        dtype: torch.dtype | None = None,
    ) -> "Pi0":
        """A model from a folder with model.safetensors (and config.json unless `config` is given), in minipi0's layout or a released one.

        Built without memory, then filled tensor by tensor, in the file's dtype unless `dtype` is given. In eval mode.
        Strict: every missing, unexpected or mis-shaped tensor is a ValueError that names it; no half-loaded model is ever returned.
        """
        if not isinstance(config, Pi0Config | None):
            raise ValueError(
                f"config must be a Pi0Config (Pi0Config.from_dict makes one of a dict), not a {type(config).__name__}"
            )
        source = checkpoint.open_checkpoint(path_or_repo)
        model = cls._filled(source, config or Pi0Config.from_dict(source.config()), dtype)
        model.stats = source.stats()
        return model

    @classmethod
    def from_paligemma(
        cls,
        path_or_repo: str | Path,
        action_expert: ExpertConfig | None = None,
        action_dim: int = 32,
        state_dim: int = 32,
        horizon: int = 50,
        dtype: torch.dtype | None = None,
    ) -> "Pi0":
        """A PaliGemma, as released on the Hub or saved by transformers, with a fresh action expert: where pi0's own training starts.

        action_expert: by default the released one's width and mlp_dim. Fresh weights draw from torch's global generator. In eval mode.
        """
        source = checkpoint.open_checkpoint(path_or_repo)
        sizes = source.paligemma()
        expert = (
            asdict(action_expert)
            if action_expert
            else sizes["vlm"] | dict(width=1024, mlp_dim=4096)
        )
        config = Pi0Config.from_dict(
            sizes
            | dict(
                action_expert=expert, action_dim=action_dim, state_dim=state_dim, horizon=horizon
            )
        )
        return cls._filled(source, config, dtype, only=checkpoint.PALIGEMMA)

    @classmethod
    def _filled(
        cls,
        source: checkpoint.Checkpoint,
        config: Pi0Config,
        dtype: torch.dtype | None,
        only: tuple[str, ...] = ("",),
    ) -> "Pi0":
        with torch.device("meta"):
            model = cls(config)
        checkpoint.load(model, source, config.to_dict(), dtype, only)
        return model.eval()

    def save_pretrained(
        self, folder: str | Path, layout: str = "minipi0", stats: dict[str, Tensor] | None = None
    ) -> None:
        """Write model.safetensors and config.json, atomically. layout: "minipi0", or "lerobot" for what LeRobot's classes read.

        stats: the data set's normalisation statistics (`data.load(…).stats`; by default those the model came with), for `from_pretrained`.
        """
        checkpoint.save(
            dict(self.named_parameters()),
            self.config.to_dict(),
            folder,
            layout,
            stats or self.stats,
        )


def _randn_like(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Noise for x; drawn where the generator lives, so that a CPU generator gives the same noise on every device."""
    device = generator.device if generator else x.device
    return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=device).to(x.device)
