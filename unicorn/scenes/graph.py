"""What a scene is: up to three objects on a textured background, sometimes a written word of one or two characters.

Every random choice of the world comes from a `random.Random` made by `keyed_random`, so that a scene is a function of
a string. No two objects of a scene share a shape, a colour or a position: each can be named by any of them.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink")
SIZES = ("small", "large")
POSITIONS = (
    "top left",
    "top center",
    "top right",
    "center left",
    "center",
    "center right",
    "bottom left",
    "bottom center",
    "bottom right",
)  # row by row
BACKGROUNDS = ("white", "black", "gray", "brown", "turquoise")  # no object has one of these: objects always show
TEXTURES = ("plain", "striped", "dotted", "checkered")
CHARACTERS = "EHKLTV47"  # none looks like another, like a shape, or is the letter of an option
DOMAINS = ("day", "sketch", "night", "satellite")
COUNTS = (1, 2, 3)
PICTURE_SIZE = 48  # pixels, both ways

_COUNT_WEIGHTS = (0.5, 0.3, 0.2)
_TEXT_LENGTH_WEIGHTS = (0.66, 0.2, 0.14)


@dataclass(frozen=True, kw_only=True)
class PartialObject:
    """What is known of an object; None is unknown."""

    shape: str | None = None
    colour: str | None = None
    size: str | None = None
    position: str | None = None


@dataclass(frozen=True, kw_only=True)
class PartialScene:
    """What is known of a scene; None is unknown. `objects` are those mentioned, `count` how many there are.

    `text` is "" where it is known that nothing is written.
    """

    objects: tuple[PartialObject, ...] = ()
    count: int | None = None
    background: str | None = None
    texture: str | None = None
    text: str | None = None
    domain: str | None = None


@dataclass(frozen=True, kw_only=True)
class Object:
    """One object: a shape of a colour and a size, in a cell of the 3 x 3 grid."""

    shape: str
    colour: str
    size: str
    position: str


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One scene, every fact known. `text` is what is written in a free cell, "" for nothing."""

    objects: tuple[Object, ...]
    background: str
    texture: str
    text: str
    domain: str

    @property
    def facts(self) -> PartialScene:
        """The scene as facts, all of them known."""
        return PartialScene(
            objects=tuple(PartialObject(**vars(item)) for item in self.objects),
            count=len(self.objects),
            background=self.background,
            texture=self.texture,
            text=self.text,
            domain=self.domain,
        )


def keyed_random(*parts: str | int) -> random.Random:
    """A random generator that depends on `parts` alone, the same on every machine and in every process."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def sample_scene(rng: random.Random, domain: str | None = None, objects: int | None = None) -> Scene:
    """A new scene, of the given domain and number of objects where they are given."""
    return complete(PartialScene(count=objects, domain=domain), rng)


def complete(partial: PartialScene, rng: random.Random) -> Scene:
    """A scene with every known fact of `partial`; what is not known is invented."""
    mentioned = len(partial.objects)
    count = partial.count or max(mentioned, rng.choices(COUNTS, _COUNT_WEIGHTS)[0])
    known = partial.objects + (PartialObject(),) * (count - mentioned)
    shapes = _fill([item.shape for item in known], SHAPES, rng)
    colours = _fill([item.colour for item in known], COLOURS, rng)
    positions = _fill([item.position for item in known], POSITIONS, rng)
    sizes = [item.size or rng.choice(SIZES) for item in known]
    return Scene(
        objects=tuple(
            Object(shape=shape, colour=colour, size=size, position=position)
            for shape, colour, size, position in zip(shapes, colours, sizes, positions, strict=True)
        ),
        background=partial.background or rng.choice(BACKGROUNDS),
        texture=partial.texture or rng.choice(TEXTURES),
        text=sample_text(rng) if partial.text is None else partial.text,
        domain=partial.domain or rng.choice(DOMAINS),
    )


def sample_text(rng: random.Random) -> str:
    """What is written in a scene: two thirds of the time nothing, else one or two characters."""
    return "".join(rng.sample(CHARACTERS, rng.choices((0, 1, 2), _TEXT_LENGTH_WEIGHTS)[0]))


def grid(position: str) -> tuple[int, int]:
    """Row and column of a position in the 3 x 3 grid."""
    return divmod(POSITIONS.index(position), 3)


def relations(position: str, other: str) -> list[str]:
    """Where a position lies from another: none, one or two of left, right, above, below."""
    (row, column), (other_row, other_column) = grid(position), grid(other)
    found = {"left": column < other_column, "right": column > other_column}
    found |= {"above": row < other_row, "below": row > other_row}
    return [relation for relation, holds in found.items() if holds]


def _fill(known: Sequence[str | None], choices: Sequence[str], rng: random.Random) -> list[str]:
    """`known` with each None replaced by a choice that no other entry has."""
    free = [choice for choice in choices if choice not in known]
    rng.shuffle(free)
    return [value or free.pop() for value in known]
