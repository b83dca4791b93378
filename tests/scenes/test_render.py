"""Pictures are functions of their scene and key, and every attribute changes what is seen."""

from dataclasses import replace

import numpy as np
import pytest
from jaxtyping import Float

from unicorn.scenes.graph import DOMAINS, POSITIONS, TEXTURES, Object, Scene, grid, keyed_random, sample_scene
from unicorn.scenes.hard_negatives import group
from unicorn.scenes.render import render

Pixels = Float[np.ndarray, "48 48 3"]
RED_CIRCLE = Object(shape="circle", colour="red", size="large", position="center")
SCENE = Scene(objects=(RED_CIRCLE,), background="white", texture="plain", text="", domain="day")


def pixels(scene: Scene, key: str = "") -> Pixels:
    """The picture of a scene, drawn with the jitter of a key."""
    return np.asarray(render(scene, keyed_random("render", key)), dtype=float)


def test_a_picture_depends_on_scene_and_key_alone() -> None:
    for index in range(20):
        scene = sample_scene(keyed_random("same", index))
        assert np.array_equal(pixels(scene), pixels(scene))
        assert not np.array_equal(pixels(scene), pixels(scene, "other"))
    picture = render(SCENE, keyed_random("size"))
    assert (picture.size, picture.mode) == ((48, 48), "RGB")


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_change_of_one_fact_shows(domain: str) -> None:
    """With the same jitter, a scene and its neighbour differ by far more than the grain of any domain."""
    for index in range(30):
        rng = keyed_random("changes", domain, index)
        scene, *others = group(sample_scene(rng, domain), rng)
        for other in others:
            difference = np.abs(pixels(scene) - pixels(other)).max(2)
            assert np.sort(difference.ravel())[-8:].mean() > 25, (scene, other)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("position", POSITIONS)
def test_an_object_is_where_it_is_said_to_be_and_has_its_colour(position: str, domain: str) -> None:
    scene = replace(SCENE, objects=(replace(RED_CIRCLE, position=position),), domain=domain)
    picture = pixels(scene, position)
    redness = picture[..., 0] - picture[..., 1:].mean(2)
    row, column = (values.mean() for values in np.nonzero(redness > redness.max() / 2))
    assert (row // 16, column // 16) == grid(position)


@pytest.mark.parametrize("domain", DOMAINS)
def test_large_covers_more_than_small(domain: str) -> None:
    def area(size: str) -> float:
        picture = pixels(replace(SCENE, objects=(replace(RED_CIRCLE, size=size),), domain=domain))
        redness = picture[..., 0] - picture[..., 1:].mean(2)
        return float((redness > redness.max() / 2).mean())

    assert area("large") > 1.8 * area("small")


def test_textures_and_domains_are_four_different_grounds() -> None:
    for kind, values in (("texture", TEXTURES), ("domain", DOMAINS)):
        pictures = [pixels(replace(SCENE, **{kind: value})) for value in values]
        for index, picture in enumerate(pictures):
            assert all(np.abs(picture - other).mean() > 1.5 for other in pictures[index + 1 :])
