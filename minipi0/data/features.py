"""What meta/info.json declares: which features are state and action, and which are cameras."""

from math import prod
from pathlib import Path

STATE_KEYS = ("observation.state", "observation/state", "state", "states", "observation.states")
ACTION_KEYS = ("action", "actions")
PICTURES = ("video", "image")  # dtypes of cameras: frames of a video, or images in the tables
NUMBERED = ("timestamp", "frame_index", "episode_index", "index", "task_index")


def chosen(features: dict, wanted, usual: tuple[str, ...], file: Path) -> list[str]:
    """The features that make the state or the action up, in order.

    features: of info.json. wanted: a key, a list of keys, or None for the first present of `usual`.
    file: info.json, for messages. Raises ValueError for a feature that is not there.
    """
    wanted = [wanted] if isinstance(wanted, str) else list(wanted or [])
    found = wanted or [key for key in usual if key in features][:1]
    absent = [key for key in found if key not in features]
    kind = "state" if usual is STATE_KEYS else "action"
    pictures = [key for key in found if features.get(key, {}).get("dtype") in PICTURES]
    if pictures:
        raise ValueError(f"{file}: {pictures[0]} is a camera; choose numbers with {kind}_key=")
    if found and not absent:
        return found
    numbers = [key for key, one in features.items() if _are_numbers(key, one)]
    parts = [key for key in numbers if key.startswith(tuple(f"{key}." for key in usual))]
    several = f"; several together are a list, {kind}_key={parts}" if len(parts) > 1 else ""
    raise ValueError(
        f"{file}: no feature {' or '.join(absent or usual)}; choose one with {kind}_key=: "
        f"{', '.join(numbers) or 'but it declares no numbers at all'}{several}"
    )


def _are_numbers(key: str, feature: dict) -> bool:
    kind = str(feature.get("dtype"))
    return key not in NUMBERED and kind.startswith(("float", "int", "uint", "bool"))


def names_of(features: dict, keys: list[str], widths: list[int]) -> list[str]:
    """A name for every dim of some features together, no two alike."""
    found = [flat_names(features[k].get("names"), w, k) for k, w in zip(keys, widths, strict=True)]
    if len({name for names in found for name in names}) < sum(widths):
        found = [
            [name if name.startswith(key) or len(keys) == 1 else f"{key}.{name}" for name in names]
            for key, names in zip(keys, found, strict=True)
        ]
    flat = [name for names in found for name in names]
    return [name if flat.count(name) == 1 else f"{name}[{i}]" for i, name in enumerate(flat)]


def flat_names(names, width: int, key: str) -> list[str]:
    """A feature's `names` as a list of `width` strings.

    names: real files hold a list, nested lists, {"motors": [...]}, {"x": 0, "y": 1} or null.
    Returns KEY[0], KEY[1], … where the names do not come out as one per dimension.
    """

    def flatten(node):
        if isinstance(node, dict):
            positions = list(node.values())
            numbered = positions and all(isinstance(position, int) for position in positions)
            return sorted(node, key=node.get) if numbered else flatten(positions)
        if isinstance(node, list):
            return [name for part in node for name in flatten(part)]
        return [] if node is None else [str(node)]

    flat = flatten(names)
    return flat if len(flat) == width else [f"{key}[{i}]" for i in range(width)]


def shape_of(feature: dict) -> list[int] | None:
    """The shape that is declared, or None where it is none; a number alone is a vector's.

    Of sides of any length, -1 or null, nothing is declared.
    """
    shape = feature.get("shape")
    shape = [shape] if isinstance(shape, int) else shape
    right = isinstance(shape, list) and all(isinstance(n, int) and n >= 0 for n in shape)
    return shape if right else None


def cameras(features: dict) -> tuple[list[str], dict[str, str]]:
    """The colour cameras that are declared, and {camera: why it is none} of the others.

    A camera is a video, images in the tables, or arrays of uint8 with three colours there.
    """
    found, others = [], {}
    for key, feature in features.items():
        kind, shape = feature.get("dtype"), shape_of(feature) or []
        if why := declared_depth(feature):
            others[key] = why
        elif kind in PICTURES or kind == "uint8" and len(shape) == 3 and 3 in (shape[0], shape[2]):
            found.append(key)
        elif len(shape) > 1 and prod(sorted(shape)[-2:]) >= 256 and kind != "string":
            others[key] = f"its values are {kind} of shape {list(shape)}, no colours"
    return found, others


def is_video(feature: dict) -> bool:
    """Whether the frames of a camera lie in videos, not in the tables."""
    return feature.get("dtype") == "video"


def declared_depth(feature: dict) -> str:
    """Why the declaration says that a camera is no colour camera; "" where it does not."""
    told = {}
    for more in (feature, feature.get("info"), feature.get("video_info")):
        if isinstance(more, dict):
            told |= {str(key).split(".")[-1]: value for key, value in more.items()}
    if told.get("is_depth_map"):
        return "it is a depth map (is_depth_map)"
    return depth_format(told.get("pix_fmt"))


def depth_format(pixels: str | None) -> str:
    """Why a video's pixel format is that of a depth map: grey with more than 8 bits."""
    pixels = str(pixels or "")
    deep = pixels.startswith("gray") and pixels.removeprefix("gray")[:2] not in ("", "8", "8a")
    return f"it is a depth map (its pixels are {pixels})" if deep else ""
