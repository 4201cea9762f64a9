"""Pictures of the table with questions and their answers, as many as wanted, labelled by the scene.

    find the red ball           <loc12> <loc07>    row and column, as PaliGemma points
    what is at <loc12> <loc07>  red ball
    is there a red ball         yes
    count the balls             2

Every colour and shape occurs, those too that no demonstrator of `touch` ever speaks of.

Axes: N pictures, B batch.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from minipi0 import prompt, vlm
from minipi0.observation import Observation
from minipi0.prompt import LOCATIONS
from minipi0.robot.touch import COLOURS, NAMES, SHAPES, Touch, scatter

KINDS = ("find", "find", "what", "is", "count")  # how often each is asked
SEEN = (*COLOURS, *SHAPES)  # the words for what can be seen
PER_PICTURE = 8  # questions about a picture


@dataclass(frozen=True)
class Picture:
    """What is in a picture: names, and where they are. places: float[things, 2], row and column
    from 0 to 1.
    """

    names: list[str]
    places: np.ndarray


def ask(picture: Picture, kind: str, rng: np.random.Generator) -> tuple[str, str]:
    """A question of this kind about a picture, and its answer."""
    i = rng.integers(len(picture.names))
    where = " ".join(map(vlm.location, picture.places[i]))
    if kind == "find":
        return f"find the {picture.names[i]}", where
    if kind == "what":
        return f"what is at {where}", picture.names[i]
    if kind == "is":
        name = picture.names[i] if rng.random() < 0.5 else str(rng.choice(NAMES))
        return f"is there a {name}", "yes" if name in picture.names else "no"
    word = str(rng.choice([*COLOURS, *SHAPES]))
    number = sum(word in name.split() for name in picture.names)
    return f"count the {word}s" if word in SHAPES else f"count the {word} ones", str(number)


class Questions:
    """N pictures and PER_PICTURE questions about each, in the form that `train.fit` takes.

    pixels: uint8[N, H, W, 3]. contents: a `Picture` for each.
    """

    def __init__(self, pixels: np.ndarray, contents: list[Picture], kinds=KINDS):
        self.pixels, self.contents, self.kinds = torch.from_numpy(pixels), contents, kinds

    def __len__(self) -> int:
        return len(self.contents) * PER_PICTURE

    def __deepcopy__(self, memo) -> "Questions":
        return self  # read only: a copied model need not copy the pictures

    def texts(self, indices: Tensor) -> tuple[list[str], list[str]]:
        """The questions of these indices, and their answers; the same ones every time."""
        pairs = []
        for index in indices.tolist():
            rng = np.random.default_rng([index, len(self.contents)])
            kind = str(rng.choice(self.kinds))
            pairs.append(ask(self.contents[index // PER_PICTURE], kind, rng))
        return [q for q, _ in pairs], [a for _, a in pairs]

    def batch(self, indices: Tensor) -> tuple[Observation, Tensor, Tensor]:
        """Observations, answers int[B, A] and which of their tokens are real, bool[B, A]."""
        asked, told = self.texts(indices)
        return observe(self.pixels[indices // PER_PICTURE], asked), *vlm.answers(told)


class Labels:
    """The same pictures for the eye alone: the words for the things whose middle is in each patch.

    grid: patches a side.
    """

    def __init__(self, asked: Questions, grid: int):
        self.pixels = asked.pixels
        self.labels = torch.zeros(len(asked.contents), grid**2, len(SEEN) + 2)
        for label, picture in zip(self.labels, asked.contents, strict=True):
            for name, place in zip(picture.names, picture.places, strict=True):
                row, column = np.clip(place * grid, 0, grid - 1).astype(int)
                patch = label[row * grid + column]
                patch[[SEEN.index(word) for word in name.split()]] = 1
                patch[-2:] = torch.from_numpy((place * LOCATIONS).clip(0, LOCATIONS - 1))

    def __len__(self) -> int:
        return len(self.pixels)

    def __deepcopy__(self, memo) -> "Labels":
        return self

    def batch(self, indices: Tensor) -> tuple[Observation, Tensor, Tensor]:
        """Observations; float[B, patches, words + 2]: 1 for a word that fits, and row and column of
        the thing's middle, in locations; and bool[B, patches]: where there is a thing.
        """
        labels = self.labels[indices]
        observation = observe(self.pixels[indices], [""] * len(indices))
        return observation, labels, labels[..., :-2].any(-1)


def observe(pixels: Tensor, asked: list[str]) -> Observation:
    """Pictures and questions as an observation. pixels: uint8[B, H, W, 3]."""
    images = pixels.permute(0, 3, 1, 2)[:, None].float() / 127.5 - 1
    seen = torch.ones(len(pixels), 1, dtype=torch.bool)
    return Observation(images, seen, *vlm.questions(asked), torch.zeros(len(pixels), 4))


def photograph(numbers: range, seed: int, progress: bool = True, size: int = 64) -> Questions:
    """Pictures of random tables, two to four things each, the arm at a random place.

    numbers: which pictures; one of them depends on (seed, number) alone. size: pixels a side.
    """
    env, pixels, tables = Touch(image_size=size), [], []
    env.reset(seed=0)
    see = env.projection()  # the camera stands still
    for number in tqdm(numbers, desc="pictures", disable=not progress):
        rng = np.random.default_rng([seed, number])
        env.move_hand(rng.uniform((-0.25, 0.42, 0.12), (0.25, 0.75, 0.28)))
        names = [str(name) for name in rng.choice(NAMES, rng.integers(2, 5), replace=False)]
        env.things = scatter(names, rng)
        pixels.append(env.render())
        middles = np.array([(thing.x, thing.y, thing.half[2]) for thing in env.things])
        tables.append(Picture(names, see(middles)[:, ::-1]))
    env.close()
    return Questions(np.stack(pixels), tables)


def save(found: Questions, file: Path) -> None:
    """Write pictures and contents to one .npz, without pickle."""
    lines = ["|".join(picture.names) for picture in found.contents]
    places = np.concatenate([picture.places for picture in found.contents])
    np.savez_compressed(file, pixels=found.pixels.numpy(), names=np.array(lines), places=places)


def load(file: Path) -> Questions:
    """What `save` wrote."""
    with np.load(file, allow_pickle=False) as found:
        names = [line.split("|") for line in found["names"].tolist()]
        ends = np.cumsum([len(row) for row in names])
        places = np.split(found["places"], ends[:-1])
        return Questions(
            found["pixels"], [Picture(*pair) for pair in zip(names, places, strict=True)]
        )


def score(model, asked: Questions, indices: Tensor) -> dict[str, list[bool]]:
    """{kind: right or wrong, per question}. A place is right within one of 32 parts each way."""
    questions, answers = asked.texts(indices)
    right: dict[str, list[bool]] = {}
    for some in torch.arange(len(indices)).split(128):
        rows = some.tolist()
        seen = observe(asked.pixels[indices[some] // PER_PICTURE], [questions[i] for i in rows])
        for i, got in zip(rows, vlm.reply(model, seen), strict=True):
            right.setdefault(questions[i].split()[0], []).append(same(got, answers[i]))
    return right


def same(got: str, wanted: str) -> bool:
    """Whether an answer is right; of two places, whether they are neighbours."""
    if not wanted.startswith("<loc"):
        return got == wanted
    places = [prompt.word_tokenizer().encode(text) for text in (got, wanted)]
    near = zip(*places, strict=False)
    return len(places[0]) == len(places[1]) and all(abs(a - b) <= 1 for a, b in near)
