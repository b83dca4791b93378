"""Scenes are functions of a string, and completing one keeps what is known."""

import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from unicorn.scenes.graph import (
    DOMAINS,
    PartialObject,
    PartialScene,
    complete,
    keyed_random,
    relations,
    sample_scene,
)


def test_keyed_random_is_the_same_in_every_process() -> None:
    code = "from unicorn.scenes.graph import *; print(sample_scene(keyed_random('a', 1)))"
    printed = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == str(sample_scene(keyed_random("a", 1)))
    assert keyed_random("a", 1).random() != keyed_random("a", 2).random()


@settings(deadline=None)
@given(st.integers(), st.sampled_from(DOMAINS), st.sampled_from([1, 2, 3]))
def test_objects_share_no_shape_colour_or_position(key: int, domain: str, count: int) -> None:
    scene = sample_scene(keyed_random(key), domain, count)
    assert (scene.domain, len(scene.objects)) == (domain, count)
    for kind in ("shape", "colour", "position"):
        assert len({getattr(item, kind) for item in scene.objects}) == count


def test_half_of_the_scenes_have_one_object_and_a_third_are_written_on() -> None:
    scenes = [sample_scene(keyed_random("shares", index)) for index in range(2000)]
    assert abs(sum(len(scene.objects) == 1 for scene in scenes) / 2000 - 0.5) < 0.05
    assert abs(sum(scene.text != "" for scene in scenes) / 2000 - 0.34) < 0.05
    assert {len(scene.text) for scene in scenes} == {0, 1, 2}


@settings(deadline=None)
@given(st.integers(), st.data())
def test_completing_keeps_every_known_fact(key: int, data: st.DataObject) -> None:
    whole = sample_scene(keyed_random(key)).facts

    def hide(value: object) -> object:
        return data.draw(st.sampled_from([value, None]))

    mentioned = data.draw(st.lists(st.sampled_from(whole.objects), unique=True))
    known = [PartialObject(**{kind: hide(value) for kind, value in vars(item).items()}) for item in mentioned]
    others = {kind: hide(value) for kind, value in vars(whole).items() if kind != "objects"}
    completed = complete(PartialScene(objects=tuple(known), **others), keyed_random(key, "again")).facts
    for item, part in zip(completed.objects, known, strict=False):
        assert vars(part).items() <= vars(item).items() | {(kind, None) for kind in vars(part)}
    for kind, value in others.items():
        assert value in (None, getattr(completed, kind))
    assert completed.count == len(completed.objects) >= len(known)


def test_relations() -> None:
    assert relations("top left", "bottom left") == ["above"]
    assert relations("center right", "center") == ["right"]
    assert relations("bottom left", "top center") == ["left", "below"]
    assert relations("center", "center") == []
