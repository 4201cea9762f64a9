"""What released pi0 and PaliGemma checkpoints call their tensors.

Released weights (openpi's PyTorch files, LeRobot, transformers) differ from minipi0's in three
respects. This file alone converts them:
- names: a table below; `canonical` first evens out small differences between releases.
- fusion: minipi0 keeps q, k, v in one matrix, their rows stacked.
- time: released code predicts dx/dt with t = 1 - tau, the opposite of dx/dtau: action_out_proj
  changes its sign.
"""

import re

from torch import Tensor

# minipi0's prefix -> the released one (without the leading "model." that LeRobot adds)
_VLM = "paligemma_with_expert.paligemma.model."
_ACTION = "paligemma_with_expert.gemma_expert.model."
PARTS = {
    "vision.": _VLM + "vision_tower.vision_model.",
    "projector.": _VLM + "multi_modal_projector.linear.",
    "embedding.": _VLM + "language_model.embed_tokens.",
    "experts.vlm.": _VLM + "language_model.",
    "experts.action.": _ACTION,
}
PALIGEMMA = tuple(PARTS)[:4]  # what a PaliGemma brings; all else is the action expert's
# inside a Gemma layer: one matrix here, these rows there
LAYER = {
    "attention_norm": ["input_layernorm"],
    "qkv": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    "attention_out": ["self_attn.o_proj"],
    "mlp_norm": ["post_attention_layernorm"],
    "gate": ["mlp.gate_proj"],
    "up": ["mlp.up_proj"],
    "down": ["mlp.down_proj"],
}
# tied to the embedding: stands in for it where that is missing
VLM_HEAD = "paligemma_with_expert.paligemma.lm_head.weight"
ACTION_HEAD = "paligemma_with_expert.gemma_expert.lm_head.weight"  # never used
UNUSED = {VLM_HEAD, ACTION_HEAD, _ACTION + "embed_tokens.weight"}

_WITHIN = "paligemma_with_expert.paligemma."  # what a PaliGemma alone leaves out
_PALIGEMMA_PART = r"(?=(language_model|vision_tower|multi_modal_projector)\.)"
_HEAD = rf"(lm_head|{re.escape(_VLM)}language_model\.lm_head)"
_SPELLINGS = [  # applied in this order
    # what torch.compile and several devices put before every name
    (r"^((_orig_mod|module)\.)+", ""),
    # transformers' PI0 in memory
    (r"^model\.vlm\.", _VLM),
    (r"^model\.dit\.", _ACTION),
    # the same, and LeRobot's prefix
    (r"^(embed_action_time|model)\.", ""),
    # PaliGemma
    (r"^(paligemma_with_expert\.paligemma\.)?(model\.)?" + _PALIGEMMA_PART, _VLM),
    (rf"^{_HEAD}\.", "paligemma_with_expert.paligemma.lm_head."),
    # transformers' files
    (r"paligemma\.model\.language_model\.model\.", "paligemma.model.language_model."),
    (r"vision_tower\.(vision_model\.)?", "vision_tower.vision_model."),
]


def canonical(key: str) -> str:
    """A released key, whatever the release, in the spelling of the table above.

    Unknown keys come back as they are.
    """
    for pattern, replacement in _SPELLINGS:
        key = re.sub(pattern, replacement, key, count=1)
    return key


def released_names(name: str) -> list[str]:
    """The released tensors (canonical spelling) whose rows stacked are the parameter `name`."""
    layer = re.fullmatch(r"experts\.(vlm|action)\.layers\.(\d+)\.(\w+)\.weight", name)
    if layer:
        expert, i, part = layer.groups()
        return [f"{PARTS[f'experts.{expert}.']}layers.{i}.{other}.weight" for other in LAYER[part]]
    for ours, theirs in PARTS.items():
        if name.startswith(ours):
            return [theirs + name[len(ours) :]]
    return [name]


def row_counts(name: str, rows: int, config: dict) -> list[int]:
    """How many of the parameter's rows belong to each of its `released_names`."""
    if name.endswith(".qkv.weight"):
        sizes = config["vlm" if ".vlm." in name else "action_expert"]
        heads = ("num_heads", "num_kv_heads", "num_kv_heads")  # of q, k, v
        return [sizes[count] * sizes["head_dim"] for count in heads]
    return [rows]


def own_name(name: str) -> str:
    """A model's parameter name as files spell it.

    transformers' versions differ in whether SigLIP has one more level, "vision_model".
    """
    return name.replace("vision.vision_model.", "vision.")


def changes_sign(name: str) -> bool:
    """Whether the parameter predicts the velocity, dx/dt there and dx/dtau = -dx/dt here."""
    return name.startswith("action_out_proj.")


def to_released(state: dict[str, Tensor], config: dict) -> dict[str, Tensor]:
    """minipi0's tensors under their released names: q, k, v apart, the velocity's sign turned.

    The parts are views, so they cost no memory. The VLM's head is its embedding, the action
    expert's unused head is zeros.
    """
    released = _apart(state, config)
    embedding = state["embedding.weight"]
    released[VLM_HEAD] = embedding
    released[ACTION_HEAD] = embedding.new_zeros(len(embedding), config["action_expert"]["width"])
    return released


def to_paligemma(state: dict[str, Tensor], config: dict) -> dict[str, Tensor]:
    """The PaliGemma inside, under the names of transformers' files; its head is its embedding."""
    part = {name: tensor for name, tensor in state.items() if name.startswith(PALIGEMMA)}
    released = _apart(part, config)
    return {name.removeprefix(_WITHIN): tensor for name, tensor in released.items()}


def _apart(state: dict[str, Tensor], config: dict) -> dict[str, Tensor]:
    released = {}
    for name, tensor in state.items():
        tensor = -tensor if changes_sign(name) else tensor
        parts = tensor.split(row_counts(name, len(tensor), config))
        released |= dict(zip(released_names(name), parts, strict=True))
    return released
