"""What a checkpoint says of the data it was trained on: cameras, names, tokenizer.

Own files hold a dict of plain values, see `ActionChunks.about`. LeRobot's config.json is read into
the same words.
"""

import json
from pathlib import Path

# of LeRobot's options, those that change what an action means
CHANGED_ACTIONS = ("use_relative_actions", "adapt_to_pi_aloha", "use_delta_joint_actions_aloha")


def checked(about: dict | None) -> dict:
    """{"about": about} for a file's metadata. Raises ValueError for what JSON cannot hold."""
    try:
        return {"about": json.loads(json.dumps(about))} if about else {}
    except TypeError as error:
        raise ValueError(f"about must hold plain values (text, numbers, lists): {error}") from None


def of_lerobot(folder: Path) -> dict | None:
    """From LeRobot's config.json in `folder`; None where there is none.

    "unsupported" lists options that change what an action means, and that nothing here undoes.
    """
    try:
        values = json.loads((folder / "config.json").read_text())
        seen = values.get("input_features")
        cameras = [key for key, feature in seen.items() if feature["type"] == "VISUAL"]
    except (OSError, ValueError, AttributeError, TypeError, KeyError):
        return None  # whoever needs the file says what is wrong with it
    return {
        "cameras": cameras,
        "tokenizer": "paligemma",
        "prompt_length": values.get("tokenizer_max_length", 48),
        "unsupported": [name for name in CHANGED_ACTIONS if values.get(name)],
    }
