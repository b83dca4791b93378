"""What is written can be read: captions state only facts of their scene, and the reader finds them all."""

from hypothesis import given, settings
from hypothesis import strategies as st

from unicorn.scenes.graph import PartialObject, PartialScene, Scene, keyed_random, sample_scene
from unicorn.scenes.language import dense_caption, seed_caption
from unicorn.scenes.reader import read
from unicorn.scenes.tokenizer import UNKNOWN, build_tokenizer, vocabulary

TOKENIZER = build_tokenizer()
SCENE_FACTS = ("count", "background", "texture", "text", "domain")


def agrees(facts: PartialScene, scene: Scene) -> bool:
    """Whether everything read is so in the scene."""
    truth = scene.facts
    return all(getattr(facts, kind) in (None, getattr(truth, kind)) for kind in SCENE_FACTS) and all(
        any(all(value in (None, getattr(real, kind)) for kind, value in vars(item).items()) for real in scene.objects)
        for item in facts.objects
    )


@settings(deadline=None)
@given(st.integers())
def test_a_dense_caption_is_read_back(key: int) -> None:
    scene = sample_scene(keyed_random(key))
    facts = read(dense_caption(scene, keyed_random(key, "words")))
    assert agrees(facts, scene)
    assert set(facts.objects) == set(scene.facts.objects)


@settings(deadline=None)
@given(st.integers())
def test_a_seed_caption_states_a_few_facts_of_its_scene(key: int) -> None:
    scene = sample_scene(keyed_random(key))
    facts = read(seed_caption(scene, keyed_random(key, "words")))
    assert agrees(facts, scene)
    stated = [getattr(facts, kind) is not None for kind in SCENE_FACTS]
    assert sum(stated) + len(facts.objects) >= 1
    assert sum(stated) <= 3


def test_each_fact_of_a_scene_is_left_out_now_and_then() -> None:
    scene = sample_scene(keyed_random("written", 3))
    read_back = [read(dense_caption(scene, keyed_random("omitted", index))) for index in range(1500)]
    for kind in ("count", "background", "texture", "domain"):
        missing = sum(getattr(facts, kind) is None for facts in read_back) / 1500
        assert 0.04 < missing < 0.10, kind


def test_one_scene_is_said_in_many_ways() -> None:
    scene = sample_scene(keyed_random("ways"))
    assert len({dense_caption(scene, keyed_random("way", index)) for index in range(200)}) > 195


def test_reading_by_hand() -> None:
    facts = read(
        "a tiny emerald hoop is in the upper left. it is huge. the writing says K 7. the hoop is above the box."
    )
    assert facts == PartialScene(
        objects=(PartialObject(shape="ring", colour="green", size="large", position="top left"),), text="K7"
    )
    assert read("a red disc and a blue star at night: two cats, an aerial view") == PartialScene(
        objects=(PartialObject(shape="circle", colour="red"), PartialObject(shape="star", colour="blue")),
        count=2,
        domain="satellite",
    )
    assert read("") == read("Nothing of this world!") == PartialScene()


@settings(deadline=None)
@given(st.integers())
def test_the_vocabulary_is_closed(key: int) -> None:
    scene = sample_scene(keyed_random(key))
    text = f"{seed_caption(scene, keyed_random(key))} {dense_caption(scene, keyed_random(key))}"
    assert UNKNOWN not in TOKENIZER.tokenize(text)
    assert TOKENIZER.decode(TOKENIZER(text).input_ids) == text


def test_the_vocabulary_is_small() -> None:
    assert len(vocabulary()) == len(set(vocabulary())) < 450
