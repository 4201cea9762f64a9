"""The sizes of a pi0, and nothing else: its two experts, its vision tower, and the whole."""

from dataclasses import asdict, dataclass, fields, replace


def check_sizes(config) -> None:
    """Raise ValueError unless every plain field of a configuration is a positive integer."""
    for name, value in vars(config).items():
        if not hasattr(value, "__dataclass_fields__") and (not isinstance(value, int) or value < 1):
            where = f"{type(config).__name__}.{name}"
            raise ValueError(f"{where} must be a positive integer, not {value!r}")


@dataclass(frozen=True)
class ExpertConfig:
    """One expert's sizes.

    Two experts that attend jointly have depth, heads, kv heads and head_dim in common. Their width
    and mlp_dim may differ.
    """

    width: int
    depth: int
    mlp_dim: int
    num_heads: int
    num_kv_heads: int
    head_dim: int

    def __post_init__(self):
        check_sizes(self)
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"{self.num_heads} heads cannot share {self.num_kv_heads} kv heads evenly"
            )
        if self.width % 2 or self.head_dim % 2:
            raise ValueError(
                "width and head_dim must be even (sine and cosine halves), "
                f"not {self.width} and {self.head_dim}"
            )


@dataclass(frozen=True)
class VisionConfig:
    """The SigLIP tower's sizes, image_size and patch_size in pixels."""

    image_size: int
    patch_size: int
    width: int
    depth: int
    num_heads: int
    mlp_dim: int

    def __post_init__(self):
        check_sizes(self)
        if self.image_size < self.patch_size:
            raise ValueError(
                f"no patch of {self.patch_size} pixels fits into an image of {self.image_size}"
            )

    @property
    def tokens(self) -> int:
        """How many tokens an image becomes."""
        return (self.image_size // self.patch_size) ** 2


# The released sizes (openpi's and LeRobot's names for them).
_HEADS = dict(num_heads=8, num_kv_heads=1, head_dim=256)  # in common
GEMMA_2B = ExpertConfig(width=2048, depth=18, mlp_dim=16384, **_HEADS)
GEMMA_300M = ExpertConfig(width=1024, depth=18, mlp_dim=4096, **_HEADS)
SO400M = VisionConfig(
    image_size=224, patch_size=14, width=1152, depth=27, num_heads=16, mlp_dim=4304
)
VOCABULARY = 257_152


@dataclass(frozen=True)
class Pi0Config:
    """All sizes of a pi0.

    vocab_size counts the language tokens, horizon the actions of a chunk.
    """

    vlm: ExpertConfig
    action_expert: ExpertConfig
    vision: VisionConfig
    vocab_size: int
    action_dim: int
    state_dim: int
    horizon: int

    def __post_init__(self):
        check_sizes(self)

    @classmethod
    def full(cls) -> "Pi0Config":
        """The released size: PaliGemma-3B and a 300M action expert, 3,238,048,528 parameters."""
        return cls(
            vlm=GEMMA_2B,
            action_expert=GEMMA_300M,
            vision=SO400M,
            vocab_size=VOCABULARY,
            action_dim=32,
            state_dim=32,
            horizon=50,
        )

    @classmethod
    def mini(
        cls, action_dim: int = 7, state_dim: int = 6, horizon: int = 16, **changes
    ) -> "Pi0Config":
        """The same architecture at 1.0 M parameters: 64-pixel images, byte-level prompts.

        It trains from scratch on a laptop. Here the action expert is the wider one: nothing is
        pre-trained, and most of what is to be learned are actions.
        changes: other fields of the configuration, vlm=…, vision=…
        """
        heads = dict(num_heads=4, num_kv_heads=1, head_dim=32)
        config = cls(
            vlm=ExpertConfig(width=64, depth=4, mlp_dim=128, **heads),
            action_expert=ExpertConfig(width=128, depth=4, mlp_dim=256, **heads),
            vision=VisionConfig(
                image_size=64, patch_size=16, width=96, depth=2, num_heads=4, mlp_dim=192
            ),
            vocab_size=260,
            action_dim=action_dim,
            state_dim=state_dim,
            horizon=horizon,
        )
        return replace(config, **changes)

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Pi0Config":
        """The inverse of `to_dict`. Raises ValueError naming missing or unknown entries."""
        parts = {"vlm": ExpertConfig, "action_expert": ExpertConfig, "vision": VisionConfig}
        if isinstance(values, dict):
            found = {name: part for name, part in parts.items() if name in values}
            built = {name: _build(part, values[name], name) for name, part in found.items()}
            values = values | built
        return _build(cls, values, "config")


def _build(cls, values, where: str):
    names = {field.name for field in fields(cls)}
    if not isinstance(values, dict) or set(values) != names:
        got = sorted(values) if isinstance(values, dict) else repr(values)
        raise ValueError(f"{where}: expected the entries {sorted(names)}, got {got}")
    return cls(**values)
