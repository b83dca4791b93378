"""A scene in words: sparse seed captions and dense captions.

Every fact has several names, every sentence several forms, and sentences come in any order. Each clause speaks of one
object at most, unless it tells a relation; a sentence that begins with "it" goes on about the object before.
"""

import random
from itertools import chain

from unicorn.scenes.graph import Object, Scene, relations
from unicorn.scenes.lexicon import (
    BACKGROUND_NAMES,
    COLOUR_NAMES,
    COUNT_NAMES,
    COUNTED,
    DOMAIN_NAMES,
    POSITION_NAMES,
    RELATION_NAMES,
    SHAPE_NAMES,
    SIZE_NAMES,
    TEXTURE_NAMES,
    spell,
    with_article,
)

PLACE_FORMS = "in the {}", "at the {}", "in the {} part"
OBJECT_FORMS = (
    "there is {object} {place}.",
    "{object} sits {place}.",
    "{object} can be seen {place}.",
    "{place} is {object}.",
    "{place} we find {object}.",
    "the {shape} {place} is {size}, and its color is {colour}.",
    "a {shape} colored {colour} is {place}. it is {size}.",
    "a {size} {shape} lies {place}. it is {colour}.",
    "the {colour} {shape} is {size}. it lies {place}.",
)
COUNT_FORMS = "there {are} {count}.", "the picture shows {count}.", "{count} {are} visible."
BACKGROUND_FORMS = {  # by whether the colour is said, and the texture
    (True, True): (
        "the background is {colour} and {texture}.",
        "behind lies a {texture} {colour} background.",
        "the backdrop is a {colour} {texture} surface.",
        "everything rests on a {texture} {colour} ground.",
    ),
    (True, False): ("the background is {colour}.", "everything rests on a {colour} ground."),
    (False, True): ("the background is {texture}.", "behind lies a {texture} surface."),
}
TEXT_FORMS = "{} is written on it.", "the writing says {}.", "a label reads {}.", "we can read {}."
NO_TEXT_FORMS = "nothing is written.", "there is no writing.", "no label is visible."
DOMAIN_FORMS = "this is {}.", "the picture is {}.", "we look at {}."
RELATION_FORMS = "the {first} is {relation} the {second}.", "{relation} the {second} is the {first}."

SEED_OBJECT_FORMS = "{object}", "{object} {place}", "we see {object}"
SEED_BACKGROUND_FORMS = "{subject} on a {name} background", "{subject} in front of a {name} backdrop"
SEED_TEXT_FORMS = "{} with the writing {}", "{} and a label reading {}", "{} with {} written on it"
SEED_DOMAIN_FORMS = "{domain} of {rest}", "{rest}, {domain}", "{domain}: {rest}"

FORMS = (
    *chain(PLACE_FORMS, OBJECT_FORMS, COUNT_FORMS, *BACKGROUND_FORMS.values(), TEXT_FORMS, NO_TEXT_FORMS, DOMAIN_FORMS),
    *chain(RELATION_FORMS, SEED_OBJECT_FORMS, SEED_BACKGROUND_FORMS, SEED_TEXT_FORMS, SEED_DOMAIN_FORMS, ("is", "are")),
    "and",
)

_OMITTED = 0.07  # how often a paragraph leaves out a fact that is no object's


def seed_caption(scene: Scene, rng: random.Random) -> str:
    """A sparse caption, as beside a picture on the web: one to three things said of the scene."""
    subject = rng.choices(("object", "pair", "count"), (0.7, 0.2, 0.1))[0]
    if subject == "count":
        said = _counted(scene, rng)
    elif subject == "pair" and len(scene.objects) > 1:
        said = " and ".join(_object_phrase(item, rng) for item in rng.sample(scene.objects, 2))
    else:
        item = rng.choice(scene.objects)
        said = rng.choice(SEED_OBJECT_FORMS).format(object=_sparse_phrase(item, rng), place=_place(item, rng))
    match rng.choices(("background", "texture", "text", None), (0.2, 0.15, 0.3, 0.35))[0]:
        case "background":
            name = rng.choice(BACKGROUND_NAMES[scene.background])
            said = rng.choice(SEED_BACKGROUND_FORMS).format(subject=said, name=name)
        case "texture":
            name = rng.choice(TEXTURE_NAMES[scene.texture])
            said = rng.choice(SEED_BACKGROUND_FORMS).format(subject=said, name=name)
        case "text" if scene.text:
            said = rng.choice(SEED_TEXT_FORMS).format(said, spell(scene.text))
        case _:
            pass
    if rng.random() < (0.3 if scene.domain == "day" else 0.7):
        said = rng.choice(SEED_DOMAIN_FORMS).format(domain=_domain(scene, rng), rest=said)
    return said


def dense_caption(scene: Scene, rng: random.Random) -> str:
    """A paragraph with every fact of every object, and now and then without one of the scene's other facts."""
    parts = [_object_sentence(item, rng) for item in scene.objects]
    if len(scene.objects) > 1 and rng.random() < 0.4:
        parts.append(_relation_sentence(scene, rng))
    if _is_said(rng):
        are = "is" if len(scene.objects) == 1 else "are"
        parts.append(rng.choice(COUNT_FORMS).format(are=are, count=_counted(scene, rng)))
    said = _is_said(rng), _is_said(rng)
    if any(said):
        names = {"colour": rng.choice(BACKGROUND_NAMES[scene.background])}
        names["texture"] = rng.choice(TEXTURE_NAMES[scene.texture])
        parts.append(rng.choice(BACKGROUND_FORMS[said]).format(**names))
    if scene.text and _is_said(rng):
        parts.append(rng.choice(TEXT_FORMS).format(spell(scene.text)))
    if not scene.text and rng.random() < 0.5:
        parts.append(rng.choice(NO_TEXT_FORMS))
    if _is_said(rng):
        parts.append(rng.choice(DOMAIN_FORMS).format(_domain(scene, rng)))
    rng.shuffle(parts)
    return " ".join(parts)


def _is_said(rng: random.Random) -> bool:
    return rng.random() >= _OMITTED


def _object_sentence(item: Object, rng: random.Random) -> str:
    return rng.choice(OBJECT_FORMS).format(
        object=_object_phrase(item, rng),
        place=_place(item, rng),
        shape=rng.choice(SHAPE_NAMES[item.shape]),
        colour=rng.choice(COLOUR_NAMES[item.colour]),
        size=rng.choice(SIZE_NAMES[item.size]),
    )


def _relation_sentence(scene: Scene, rng: random.Random) -> str:
    first, second = rng.sample(scene.objects, 2)
    relation = rng.choice(relations(first.position, second.position))
    return rng.choice(RELATION_FORMS).format(
        first=rng.choice(SHAPE_NAMES[first.shape]),
        second=rng.choice(SHAPE_NAMES[second.shape]),
        relation=rng.choice(RELATION_NAMES[relation]),
    )


def _object_phrase(item: Object, rng: random.Random) -> str:
    adjectives = [rng.choice(SIZE_NAMES[item.size]), rng.choice(COLOUR_NAMES[item.colour])]
    rng.shuffle(adjectives)
    return with_article(" ".join([*adjectives, rng.choice(SHAPE_NAMES[item.shape])]))


def _sparse_phrase(item: Object, rng: random.Random) -> str:
    """One or two of size, colour and shape."""
    said = rng.choices(("shape", "colour", "colour shape", "size shape", "size"), (0.3, 0.1, 0.4, 0.15, 0.05))[0]
    names = {"size": SIZE_NAMES[item.size], "colour": COLOUR_NAMES[item.colour], "shape": SHAPE_NAMES[item.shape]}
    phrase = " ".join(rng.choice(names[kind]) for kind in said.split())
    return with_article(phrase if "shape" in said else f"{phrase} {rng.choice(COUNTED[1])}")


def _place(item: Object, rng: random.Random) -> str:
    return rng.choice(PLACE_FORMS).format(rng.choice(POSITION_NAMES[item.position]))


def _counted(scene: Scene, rng: random.Random) -> str:
    count = len(scene.objects)
    return f"{rng.choice(COUNT_NAMES[count])} {rng.choice(COUNTED[count])}"


def _domain(scene: Scene, rng: random.Random) -> str:
    return with_article(rng.choice(DOMAIN_NAMES[scene.domain]))
