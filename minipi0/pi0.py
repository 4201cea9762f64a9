"""pi0 (arXiv 2410.24164): a vision-language model, and an expert that turns noise into actions.

Tokens, in this order:   [ camera 1 … camera C | instruction ]   [ state | A_1^tau … A_H^tau ]
                          prefix, VLM expert                      suffix, action expert

Blocks: prefix, state, actions. A token attends to all of its own block and to the blocks before:

      query \\ key  prefix  state  actions
      prefix         x
      state          x       x
      actions        x       x       x         (the whole chunk: a_1 attends to a_H)

Time is the paper's, tau = 0 noise and tau = 1 action. Released code has t = 1 - tau and predicts
the opposite velocity. Here 1 - tau is embedded, and `checkpoint` negates action_out_proj when it
reads or writes released weights. Nothing else needs to know.

Axes: B batch, C cameras, T tokens (P prefix, L language, S = 1 + H suffix), H action horizon,
D action dims, W an expert's width.
"""

import math
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import SiglipVisionConfig, SiglipVisionModel

from minipi0 import checkpoint, flow
from minipi0.compiled import compiled
from minipi0.config import GEMMA_300M, ExpertConfig, Pi0Config
from minipi0.gemma import Cache, Table, TwoExperts, fitted, rotary_table
from minipi0.observation import Observation


def time_embedding(tau: Tensor, width: int) -> Tensor:
    """Sines and cosines of t = 1 - tau, with periods from 0.004 to 4.

    The phase 2 pi t / period reaches 1571 radians: in float32 it would be off by 1e-4. Hence
    float64, on a device that has it.

    tau: float[B]. Returns float64[B, width].
    """
    device = "cpu" if tau.device.type == "mps" else tau.device
    t = 1 - tau.to(device).double()
    exponent = torch.linspace(0, 1, width // 2, dtype=torch.float64, device=device)
    phase = 2 * math.pi * t[:, None] / (4e-3 * 1000**exponent)
    return torch.cat([phase.sin(), phase.cos()], dim=-1)


def block_mask(starts: Tensor, valid: Tensor) -> Tensor:
    """The attention mask: True where query i may attend to key j.

    A cumulative sum numbers the blocks. A token attends to its own block and to earlier ones.
    Padding attends to nothing and nothing attends to it.

    starts: bool[T], True where a new block begins; valid: bool[B, T], False for padding.
    Returns bool[B, T, T], queries first.
    """
    block = starts.cumsum(0)
    return (block[None, :] <= block[:, None]) & valid[:, None, :] & valid[:, :, None]


class Encoded(NamedTuple):
    """All that an Euler step needs of the observation; none of it depends on tau."""

    cache: Cache  # keys and values of the prefix, per layer
    mask: Tensor  # bool[B, S, P + S], the suffix's queries
    table: Table  # rotary table of the suffix's positions


class Pi0(nn.Module):
    """The full two-expert model.

    Shapes are checked at `velocity`, `loss` and `sample_actions`; all of them raise ValueError.
    """

    def __init__(self, config: Pi0Config):
        super().__init__()
        self.config = config
        # normalisation statistics of the data it was trained on, where its checkpoint holds them
        self.stats: dict[str, Tensor] | None = None
        self.about: dict | None = None  # that data: its cameras, names, … (`ActionChunks.about`)
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
        nn.init.normal_(self.embedding.weight, std=width**-0.5)  # times sqrt(width): variance 1

    # ---- tokens --------------------------------------------------------------------------------

    def embed_prefix(self, observation: Observation) -> tuple[Tensor, Tensor]:
        """Images, then language. Returns tokens [B, P, W_vlm] and which are real, bool[B, P]."""
        b, cameras = observation.image_mask.shape
        seen = observation.image_mask.bool()
        # Gemma scales text; image features come unscaled
        tokens = self.embedding(observation.tokens) * self.config.vlm.width**0.5
        if cameras:
            hidden = ~seen[:, :, None, None, None]
            images = observation.images.masked_fill(hidden, 0)  # no NaN, even in a gradient
            images = fitted(images.flatten(0, 1), next(self.vision.parameters()))
            features = fitted(self.vision(images).last_hidden_state, self.projector.weight)
            features = self.projector(features)
            features = features.reshape(b, -1, features.shape[-1])  # (B, C * tokens, W_vlm)
            tokens = torch.cat([features, tokens], dim=1)
        seen = seen.repeat_interleave(self.config.vision.tokens, dim=1)
        valid = torch.cat([seen, observation.token_mask.bool()], dim=1)
        return tokens.masked_fill(~valid[..., None], 0), valid

    def embed_suffix(self, state: Tensor, noisy_actions: Tensor, time: Tensor) -> Tensor:
        """The state token, then a token per action.

        state: [B, D_state]; noisy_actions: [B, H, D]; time: [B or 1, W_action], from
            `time_embedding`.
        Returns [B, 1 + H, W_action].
        """
        dtype = self.state_proj.weight.dtype
        actions = self.action_in_proj(noisy_actions.to(dtype))
        time = time.to(dtype).to(actions.device)[:, None].expand_as(actions)
        actions = self.action_time_mlp_in(torch.cat([actions, time], dim=-1))
        actions = self.action_time_mlp_out(F.silu(actions))
        return torch.cat([self.state_proj(state.to(dtype))[:, None], actions], dim=1)

    def encode(self, observation: Observation) -> Encoded:
        """The VLM's part: once per observation."""
        prefix, valid = self.embed_prefix(observation)
        p, s = prefix.shape[1], 1 + self.config.horizon
        valid = F.pad(valid, (0, s), value=True)
        starts = torch.zeros(p + s, dtype=torch.bool, device=valid.device)
        starts[p : p + 2] = True  # the state begins a block, the first action begins another
        mask = block_mask(starts, valid)
        positions = valid.cumsum(1) - 1  # padding does not advance them
        _, cache = self.experts.prefix(prefix, mask[:, :p, :p], positions[:, :p])
        table = rotary_table(positions[:, p:], self.config.vlm.head_dim)
        return Encoded(cache, mask[:, p:], table)

    def decode(
        self, encoded: Encoded, state: Tensor, noisy_actions: Tensor, time: Tensor
    ) -> Tensor:
        """The velocity, given what `encode` returned: all that one Euler step costs.

        Arguments as of `embed_suffix`. Returns [B, H, D] in the noisy actions' dtype.
        """
        suffix = self.embed_suffix(state, noisy_actions, time)
        out = self.experts.suffix(suffix, encoded.mask, encoded.table, encoded.cache)
        out = fitted(out[:, 1:], self.action_out_proj.weight)
        return self.action_out_proj(out).to(noisy_actions.dtype)

    # ---- flow matching -------------------------------------------------------------------------

    def velocity(
        self, observation: Observation, noisy_actions: Tensor, tau: Tensor | float
    ) -> Tensor:
        """v_theta(A^tau, o), an estimate of E[A - eps | A^tau, o].

        noisy_actions: [B, H, D]; tau: a scalar or [B], any float dtype. Returns [B, H, D].
        """
        self._check(observation, noisy_actions=noisy_actions)
        tau = flow.check_tau(tau, len(noisy_actions)).reshape(-1)
        time = time_embedding(tau, self.config.action_expert.width)
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
        """Conditional flow matching (Sec. IV): one noise and one tau per item, unless given.

        actions: [B, H, D].
        action_mask: bool[B, H], True where the chunk is real, not padding; or bool[B, H, D].
        reduction: "mean", or "none" for [B, H, D].
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
        """An action chunk per observation: the prefix once, then Euler steps of the expert alone.

        noise: [B, H, D], drawn in float32 unless given.
        Returns [B, H, D]. For several chunks of one observation, repeat the observation along B.
        Raises FloatingPointError for a chunk that is not finite.
        """
        if noise is None:
            shape = (len(observation.state), self.config.horizon, self.config.action_dim)
            like = torch.empty(shape, device=self.state_proj.weight.device)
            noise = _randn_like(like, generator)
        self._check(observation, look=True, noise=noise)
        encoded = self.encode(observation)

        def velocity(x: Tensor, tau: Tensor) -> Tensor:
            time = time_embedding(tau[None], self.config.action_expert.width)
            return self.decode(encoded, observation.state, x, time)

        return flow.euler(velocity, noise, steps)

    def compile(self, frozen: bool = False, **options) -> None:
        """torch.compile, in place, the two parts that everything runs through.

        options: torch.compile's, for instance mode=.
        frozen=True: for sampling alone, faster still on a CPU; see `compiled`, and what it raises.
        """
        for name in ("encode", "decode"):
            self.__dict__.pop(name, None)  # what an earlier call left
            setattr(self, name, compiled(getattr(self, name), self, frozen, **options))

    def __getstate__(self) -> dict:
        """For copy and pickle. A copy is not compiled: the compiled parts run these weights."""
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in ("encode", "decode")}

    def _check(self, observation: Observation, look: bool = False, **actions: Tensor) -> None:
        c, b = self.config, len(observation.state)
        cameras, length = observation.image_mask.shape[-1], observation.tokens.shape[-1]
        side = c.vision.image_size
        expected = {
            "images": (b, cameras, 3, side, side),
            "image_mask": (b, cameras),
            "tokens": (b, length),
            "token_mask": (b, length),
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
            raise ValueError(f"images are {images.dtype}, expected floating-point in [-1, 1]")
        if look or flow.cheap_to_look(tokens):
            outside = tokens[(tokens < 0) | (tokens >= c.vocab_size)]
            if len(outside):
                raise ValueError(
                    f"token {outside[0].item()} is outside the vocabulary of {c.vocab_size}: "
                    "was another tokenizer used?"
                )
            flow.check_finite("state", observation.state, look)
            images = images[observation.image_mask.bool()]
            flow.check_finite("images", images, look)
            if images.numel() and (most := images.abs().max()) > 1.5:
                raise ValueError(f"images reach {most:g}, expected [-1, 1]: pixels / 127.5 - 1")

    # ---- files ---------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(
        cls,
        path_or_repo: str | Path,
        config: Pi0Config | None = None,
        dtype: torch.dtype | None = None,
        revision: str | None = None,
    ) -> "Pi0":
        """A model from a folder with model.safetensors, in minipi0's own layout or a released one.

        It is built without memory, then filled tensor by tensor, and returned in eval mode.

        config: the sizes, where the folder has no config.json, or with another horizon.
        dtype: of the weights, by default the file's. revision: of a repository.
        Strict: every missing, unexpected or mis-shaped tensor is a ValueError that names it; no
        half-loaded model is ever returned.
        """
        if not isinstance(config, Pi0Config | None):
            raise ValueError(
                "config must be a Pi0Config (Pi0Config.from_dict makes one of a dict), "
                f"not a {type(config).__name__}"
            )
        source = checkpoint.open_checkpoint(path_or_repo, revision)
        model = cls._filled(source, config or Pi0Config.from_dict(source.config()), dtype)
        model.stats, model.about = source.stats(model.config.to_dict()), source.about()
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
        revision: str | None = None,
    ) -> "Pi0":
        """A PaliGemma with a fresh action expert: where pi0's own training starts.

        path_or_repo: a PaliGemma as released on the Hub, or as transformers saves it.
        action_expert: by default the released one's width and mlp_dim. revision: of a repository.
        Fresh weights draw from torch's global generator. Returned in eval mode.
        """
        source = checkpoint.open_checkpoint(path_or_repo, revision)
        sizes = source.paligemma()
        if action_expert is None:
            released = dict(width=GEMMA_300M.width, mlp_dim=GEMMA_300M.mlp_dim)
            action_expert = ExpertConfig(**sizes["vlm"] | released)
        dims = dict(action_dim=action_dim, state_dim=state_dim, horizon=horizon)
        config = Pi0Config.from_dict(sizes | dims | {"action_expert": asdict(action_expert)})
        return cls._filled(source, config, dtype, only=checkpoint.PALIGEMMA)

    @classmethod
    def _filled(cls, source, config: Pi0Config, dtype, only: tuple[str, ...] = ("",)) -> "Pi0":
        with torch.device("meta"):
            model = cls(config)
        checkpoint.load(model, source, config.to_dict(), dtype, only)
        return model.eval()

    def save_pretrained(
        self,
        folder: str | Path,
        layout: str = "minipi0",
        stats: dict[str, Tensor] | None = None,
        about: dict | None = None,
    ) -> None:
        """Write model.safetensors and config.json, atomically.

        layout: "minipi0"; "lerobot" for what LeRobot's and transformers' classes read; or
            "paligemma" for the VLM alone, which `from_paligemma` reads.
        stats: normalisation statistics (`data.load(…).stats`), for `from_pretrained`; by default
            those that the model has.
        about: of the data, as `ActionChunks.about`, and what else may be wanted later (the
            command, its seed, …), as plain values; by default what the model has.
        """
        weights, sizes = checkpoint.plain_parameters(self), self.config.to_dict()
        about = {**(about or self.about or {}), "model": type(self).__name__.removeprefix("FSDP")}
        checkpoint.save(weights, sizes, folder, layout, stats or self.stats, about)


def _randn_like(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Noise for x, drawn where the generator lives.

    So a CPU generator gives the same noise on every device.
    """
    device = generator.device if generator else x.device
    return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=device).to(x.device)
