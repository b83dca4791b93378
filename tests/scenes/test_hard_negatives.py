"""Hard negatives differ in one thing, and every kind of difference comes up."""

from collections import Counter

import pytest

from unicorn.scenes.graph import Scene, keyed_random, sample_scene
from unicorn.scenes.hard_negatives import KINDS, group, swap

OF_OBJECTS = ("shape", "colour", "size", "position")


def changes(scene: Scene, other: Scene) -> list[str]:
    """What differs between two scenes, an object's attributes one by one."""
    found = [
        kind for kind in ("background", "texture", "text", "domain") if getattr(scene, kind) != getattr(other, kind)
    ]
    for one, two in zip(scene.objects, other.objects, strict=True):
        found += [kind for kind in OF_OBJECTS if getattr(one, kind) != getattr(two, kind)]
    return found


def test_a_swap_changes_one_thing_or_exchanges_one_kind() -> None:
    seen: Counter[str] = Counter()
    for index in range(600):
        rng = keyed_random("negatives", index)
        scene, *others = group(sample_scene(rng), rng)
        for other in others:
            changed = changes(scene, other)
            exchanged = len(changed) == 2 and len(set(changed)) == 1 and changed[0] in OF_OBJECTS
            assert len(changed) == 1 or exchanged, (scene, other)
            seen["binding" if exchanged else changed[0]] += 1
            for kind in ("shape", "colour", "position"):
                assert len({getattr(item, kind) for item in other.objects}) == len(scene.objects)
    assert set(seen) == {*OF_OBJECTS, "binding", "background", "texture", "text", "domain"} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_swap_is_of_the_kind_that_is_asked_for(kind: str) -> None:
    for index in range(40):
        rng = keyed_random("kinds", kind, index)
        scene = sample_scene(rng, objects=2)
        changed = changes(scene, swap(scene, rng, kind))
        assert len(changed) == (2 if kind == "binding" else 1)
        assert set(changed) <= set(OF_OBJECTS) if kind == "binding" else changed == [kind]
