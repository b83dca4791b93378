"""What the towers see, measured: a small probe per attribute on held-out scenes, and the gap between text and image.

Retrieval hides what a tower misses (it needs but one difference to tell a pair apart); a probe that reads one attribute
from the vectors does not. Several objects are asked about one by one: the key, say a position, is put beside the
vector, so that what is measured is whether the vector binds the attributes of one object together.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from unicorn.scenes.graph import (
    BACKGROUNDS,
    CHARACTERS,
    COLOURS,
    COUNTS,
    DOMAINS,
    POSITIONS,
    SHAPES,
    SIZES,
    TEXTURES,
    Scene,
    keyed_random,
    relations,
    sample_scene,
)
from unicorn.scenes.hard_negatives import KINDS, swap
from unicorn.scenes.language import dense_caption
from unicorn.scenes.render import render
from unicorn.scenes.towers import ImageTower, TextTower

GATE = 0.95  # what the image probes of GATED must reach
GATED = ("shape", "colour", "size", "position", "count", "background", "texture")

_CHUNK = 256
_VALUES = {"shape": SHAPES, "colour": COLOURS, "size": SIZES, "position": POSITIONS}

Vectors = Float[Tensor, "n dimension"]
Label = tuple[list[int], int]  # the key, as indices that are set to one beside the vector, and the class
Target = Callable[[Scene, random.Random], Label | None]


@dataclass(kw_only=True)
class PairedVectors:
    """Scenes with the vectors of their picture and of their dense caption, row by row."""

    scenes: list[Scene]
    image: Vectors
    text: Vectors

    @classmethod
    @torch.inference_mode()
    def make(
        cls, number: int, image_tower: ImageTower, text_tower: TextTower, tokenizer: PreTrainedTokenizerFast
    ) -> Self:
        """Vectors of `number` scenes that no tower was trained on."""
        scenes: list[Scene] = []
        image: list[Tensor] = []
        text: list[Tensor] = []
        for start in range(0, number, _CHUNK):
            rng = keyed_random("pretrain", "probe", start)
            chunk = [sample_scene(rng) for _ in range(min(_CHUNK, number - start))]
            pictures = np.stack([np.asarray(render(scene, rng)) for scene in chunk])
            tokens = tokenizer([dense_caption(scene, rng) for scene in chunk], padding=True, return_tensors="pt")
            scenes += chunk
            image.append(image_tower(torch.from_numpy(pictures)))
            text.append(text_tower(tokens["input_ids"], tokens["attention_mask"]))
        return cls(scenes=scenes, image=torch.cat(image), text=torch.cat(text))

    def split(self, first: int) -> tuple[Self, Self]:
        """The first rows, and the others."""
        cut = slice(first), slice(first, None)
        head, tail = (
            type(self)(scenes=self.scenes[rows], image=self.image[rows], text=self.text[rows]) for rows in cut
        )
        return head, tail


def _only_object(kind: str) -> Target:
    """An attribute of the object in scenes with one."""
    return lambda scene, _: (
        ([], _VALUES[kind].index(getattr(scene.objects[0], kind))) if len(scene.objects) == 1 else None
    )


def _one_of_several(kind: str, key: str) -> Target:
    """An attribute of one of several objects, named by another attribute."""

    def target(scene: Scene, rng: random.Random) -> Label | None:
        item = rng.choice(scene.objects)
        label = [_VALUES[key].index(getattr(item, key))], _VALUES[kind].index(getattr(item, kind))
        return label if len(scene.objects) > 1 else None

    return target


def _presence(kind: str) -> Target:
    """Whether any object has a value, as often so as not."""

    def target(scene: Scene, rng: random.Random) -> Label:
        present = {_VALUES[kind].index(getattr(item, kind)) for item in scene.objects}
        asked = rng.random() < 0.5
        return [rng.choice([index for index in range(len(_VALUES[kind])) if (index in present) == asked])], int(asked)

    return target


def _relation(scene: Scene, rng: random.Random) -> Label | None:
    """Whether one object, named by its shape, lies left of another, or above it."""
    if len(scene.objects) == 1:
        return None
    first, second = rng.sample(scene.objects, 2)
    name = rng.choice(relations(first.position, second.position))
    key = [SHAPES.index(first.shape), len(SHAPES) + SHAPES.index(second.shape)]
    return [*key, 2 * len(SHAPES) + (name in ("above", "below"))], int(name in ("left", "above"))


def _character(place: int, length: int) -> Target:
    return lambda scene, _: ([], CHARACTERS.index(scene.text[place])) if len(scene.text) == length else None


TARGETS: dict[str, Target] = {
    **{kind: _only_object(kind) for kind in _VALUES},
    "count": lambda scene, _: ([], COUNTS.index(len(scene.objects))),
    "background": lambda scene, _: ([], BACKGROUNDS.index(scene.background)),
    "texture": lambda scene, _: ([], TEXTURES.index(scene.texture)),
    "domain": lambda scene, _: ([], DOMAINS.index(scene.domain)),
    "one character": _character(0, 1),
    "first of two characters": _character(0, 2),
    "second of two characters": _character(1, 2),
    **{f"is there such a {kind}": _presence(kind) for kind in ("shape", "colour")},
    "relation": _relation,
    **{
        f"{kind} of the object at a {key}" if key == "position" else f"{kind} of a {key}": _one_of_several(kind, key)
        for kind, key in (
            ("shape", "position"),
            ("colour", "position"),
            ("size", "position"),
            ("colour", "shape"),
            ("position", "shape"),
            ("shape", "colour"),
        )
    },
}
_KEYS = 2 * len(SHAPES) + 2  # the longest key


def probe(name: str, train: Vectors, train_scenes: list[Scene], test: Vectors, test_scenes: list[Scene]) -> float:
    """Accuracy on `test` of a network with one hidden layer that reads an attribute (of TARGETS) from `train`."""
    torch.manual_seed(0)
    inputs, classes = _examples(name, train, train_scenes)
    network = nn.Sequential(nn.Linear(inputs.shape[1], 256), nn.GELU(), nn.Linear(256, int(classes.max()) + 1))
    epochs = max(12, 60_000 // len(inputs))
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.02)
    steps = epochs * (len(inputs) // _CHUNK + 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(epochs):
        order = torch.randperm(len(inputs))
        for rows in order.tensor_split(len(inputs) // _CHUNK + 1):
            loss = nn.functional.cross_entropy(network(inputs[rows]), classes[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    inputs, classes = _examples(name, test, test_scenes)
    with torch.inference_mode():
        return (network(inputs).argmax(1) == classes).float().mean().item()


def probes(
    train: PairedVectors, test: PairedVectors, names: tuple[str, ...] = tuple(TARGETS)
) -> dict[str, dict[str, float]]:
    """Accuracies by attribute of probes on pictures, on texts, and of text probes read on pictures (two transfers)."""
    shift = {"image": train.image.mean(0), "text": train.text.mean(0)}
    columns = {
        "image": (train.image, test.image),
        "text": (train.text, test.text),
        "text to image, raw": (train.text, test.image),
        "text to image, mean shift": (
            nn.functional.normalize(train.text - shift["text"], dim=-1),
            nn.functional.normalize(test.image - shift["image"], dim=-1),
        ),
    }
    return {
        column: {name: probe(name, seen, train.scenes, unseen, test.scenes) for name in names}
        for column, (seen, unseen) in columns.items()
    }


def gap(train: PairedVectors, test: PairedVectors) -> dict[str, float]:
    """How far apart texts and pictures lie, overall and by domain."""
    difference = test.image - test.text
    overall = difference.mean(0)
    figures = {
        "distance of the means": overall.norm().item(),
        "paired cosine": (test.image * test.text).sum(1).mean().item(),
        "linear separability, raw": _separability(train.text, train.image, test.text, test.image),
        "linear separability, centred": _separability(
            *(vectors - vectors.mean(0) for vectors in (train.text, train.image, test.text, test.image))
        ),
    }
    for domain in DOMAINS:
        rows = [row for row, scene in enumerate(test.scenes) if scene.domain == domain]
        figures[f"cosine of the gap of {domain} with the gap"] = torch.cosine_similarity(
            difference[rows].mean(0), overall, dim=0
        ).item()
    return figures


@torch.inference_mode()
def swap_test(
    image_tower: ImageTower, text_tower: TextTower, tokenizer: PreTrainedTokenizerFast, number: int = 256
) -> dict[str, float]:
    """How often a picture is closer to its own dense caption than to that of a scene with one change, by its kind."""

    def encode(scenes: list[Scene], rng: random.Random) -> Vectors:
        tokens = tokenizer([dense_caption(scene, rng) for scene in scenes], padding=True, return_tensors="pt")
        return text_tower(tokens["input_ids"], tokens["attention_mask"])

    figures: dict[str, float] = {}
    for kind in KINDS:
        rng = keyed_random("pretrain", "swap test", kind)
        scenes = [sample_scene(rng, objects=rng.choice((2, 3)) if kind == "binding" else None) for _ in range(number)]
        pictures = image_tower(torch.from_numpy(np.stack([np.asarray(render(scene, rng)) for scene in scenes])))
        own, other = encode(scenes, rng), encode([swap(scene, rng, kind) for scene in scenes], rng)
        closer = (pictures * own).sum(1) > (pictures * other).sum(1)
        figures[kind] = closer.float().mean().item()
    return figures


def _examples(name: str, vectors: Vectors, scenes: list[Scene]) -> tuple[Float[Tensor, "m inputs"], Int[Tensor, " m"]]:
    rng = keyed_random("pretrain", "targets", name)
    labels = [(row, TARGETS[name](scene, rng)) for row, scene in enumerate(scenes)]
    found = [(row, label) for row, label in labels if label is not None]
    keys = torch.zeros(len(found), _KEYS)
    for example, (_, (key, _)) in enumerate(found):
        keys[example, key] = 1
    rows = [row for row, _ in found]
    scaled = vectors[rows] * vectors.shape[1] ** 0.5  # components of about one
    return torch.cat([scaled, keys], 1), torch.tensor([label for _, (_, label) in found])


def _separability(train_text: Vectors, train_image: Vectors, test_text: Vectors, test_image: Vectors) -> float:
    """Accuracy of a linear classifier that tells texts from pictures."""
    model = LogisticRegression(C=100, max_iter=1000)
    model.fit(torch.cat([train_text, train_image]).numpy(), [0] * len(train_text) + [1] * len(train_image))
    return float(model.score(torch.cat([test_text, test_image]).numpy(), [0] * len(test_text) + [1] * len(test_image)))
