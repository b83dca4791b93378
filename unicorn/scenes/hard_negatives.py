"""Scenes that differ in one thing: what a contrastive batch must tell apart, or it never learns the harder attributes.

With random scenes alone, colour and position tell every pair of a batch apart, and shape is never learned, though
retrieval looks perfect.
"""

import random
from collections.abc import Callable
from dataclasses import replace

from unicorn.scenes.graph import (
    BACKGROUNDS,
    CHARACTERS,
    COLOURS,
    DOMAINS,
    POSITIONS,
    SHAPES,
    SIZES,
    TEXTURES,
    Object,
    Scene,
)

_OF_OBJECTS = {"shape": SHAPES, "colour": COLOURS, "size": SIZES, "position": POSITIONS}
_OF_SCENES = {"background": BACKGROUNDS, "texture": TEXTURES, "domain": DOMAINS}


def group(scene: Scene, rng: random.Random, size: int = 8) -> list[Scene]:
    """The scene and `size` - 1 others, each with one change."""
    return [scene, *(swap(scene, rng) for _ in range(size - 1))]


def swap(scene: Scene, rng: random.Random, kind: str | None = None) -> Scene:
    """The scene with one attribute, one word or the bindings of two objects changed; of KINDS, any or the given one."""
    weights = _WEIGHTS if len(scene.objects) > 1 else _WEIGHTS | {"binding": 0.0}
    kind = kind or rng.choices(list(weights), list(weights.values()))[0]
    if kind in _OF_SCENES:
        others = [value for value in _OF_SCENES[kind] if value != getattr(scene, kind)]
        return replace(scene, **{kind: rng.choice(others)})
    return _SWAPS[kind](scene, kind, rng)


def _object(scene: Scene, kind: str, rng: random.Random) -> Scene:
    """Another shape, colour, size or position of one object, one that no other has (sizes aside)."""
    index = rng.randrange(len(scene.objects))
    taken = {getattr(item, kind) for item in scene.objects}
    if kind == "size":
        taken = {scene.objects[index].size}
    value = rng.choice([value for value in _OF_OBJECTS[kind] if value not in taken])
    return _with(scene, {index: replace(scene.objects[index], **{kind: value})})


def _binding(scene: Scene, _: str, rng: random.Random) -> Scene:
    """Two objects exchange their shape, colour or position."""
    first, second = rng.sample(range(len(scene.objects)), 2)
    one, other = scene.objects[first], scene.objects[second]
    kind = rng.choice(("shape", "colour", "position"))
    return _with(
        scene,
        {
            first: replace(one, **{kind: getattr(other, kind)}),
            second: replace(other, **{kind: getattr(one, kind)}),
        },
    )


def _text(scene: Scene, _: str, rng: random.Random) -> Scene:
    """One character changed or added, or nothing written any more."""
    free = rng.choice([character for character in CHARACTERS if character not in scene.text])
    texts = ["", free + scene.text[1:], scene.text[:1] + free]
    return replace(scene, text=rng.choice([text for text in texts if text != scene.text]))


def _with(scene: Scene, changed: dict[int, Object]) -> Scene:
    return replace(scene, objects=tuple(changed.get(index, item) for index, item in enumerate(scene.objects)))


_SWAPS: dict[str, Callable[[Scene, str, random.Random], Scene]] = {
    **dict.fromkeys(_OF_OBJECTS, _object),
    "binding": _binding,
    "text": _text,
}
_WEIGHTS = {
    "shape": 0.2,
    "colour": 0.14,
    "size": 0.06,
    "position": 0.06,
    "binding": 0.18,
    "text": 0.16,
    "texture": 0.1,
    "background": 0.05,
    "domain": 0.05,
}
KINDS = tuple(_WEIGHTS)
