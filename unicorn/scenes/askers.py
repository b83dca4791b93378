"""What a scene's facts decide: for each template of a question, the words of its slots and the answer.

An asker takes the facts and a random generator and returns both, or None where the facts do not decide the question.
"""

import random
from collections.abc import Callable

from unicorn.scenes.graph import (
    BACKGROUNDS,
    COLOURS,
    DOMAINS,
    POSITIONS,
    SHAPES,
    TEXTURES,
    PartialScene,
    relations,
)
from unicorn.scenes.lexicon import COUNT_NAMES, spell

OPTIONS = {  # what a wrong answer is taken from
    "colour": COLOURS,
    "shape": SHAPES,
    "position": POSITIONS,
    "count": ("one", "two", "three", "four"),
    "background": BACKGROUNDS,
    "texture": TEXTURES,
    "domain": DOMAINS,
}
QUANTITIES = {True: "is there only one object", False: "is there more than one object"}  # by whether there is one
DOMAIN_CLAUSES = {  # as a question, and as a statement
    "day": ("is it day", "it is day"),
    "sketch": ("is this a sketch", "this is a sketch"),
    "night": ("is it night", "it is night"),
    "satellite": ("is this a satellite image", "this is a satellite image"),
}

Asked = tuple[dict[str, str], str]
Asker = Callable[[PartialScene, random.Random], Asked | None]


def all_of(facts: PartialScene, kind: str) -> list[str] | None:
    """One attribute of every object, None unless all are known."""
    values: list[str] = [value for item in facts.objects if (value := getattr(item, kind)) is not None]
    return values if values and len(values) == facts.count else None


def _of_the_object(*kinds: str) -> Asker:
    """Attributes of the only object."""

    def asker(facts: PartialScene, _: random.Random) -> Asked | None:
        values = [value[0] for kind in kinds if (value := all_of(facts, kind))]
        return ({}, " and ".join(values)) if facts.count == 1 and len(values) == len(kinds) else None

    return asker


def _of_the_scene(*kinds: str) -> Asker:
    """Facts that are no object's."""

    def asker(facts: PartialScene, _: random.Random) -> Asked | None:
        values = [value for kind in kinds if (value := _scene_fact(facts, kind))]
        return ({}, " and ".join(values)) if len(values) == len(kinds) else None

    return asker


def _scene_fact(facts: PartialScene, kind: str) -> str | None:
    match kind:
        case "count":
            return COUNT_NAMES[facts.count][0] if facts.count else None
        case "reading":
            return spell(facts.text) if facts.text else None
        case _:
            return getattr(facts, kind)


def _presence(kind: str) -> Asker:
    def asker(facts: PartialScene, rng: random.Random) -> Asked | None:
        present = all_of(facts, kind)
        if present is None:
            return None
        if rng.random() < 0.5:
            return {kind: rng.choice(present)}, "yes"
        return {kind: _other(kind, present, rng)}, "no"

    return asker


def _relation(relation: str) -> Asker:
    opposite = {"left": "right", "right": "left", "above": "below", "below": "above"}[relation]

    def asker(facts: PartialScene, rng: random.Random) -> Asked | None:
        holds = relation if rng.random() < 0.5 else opposite
        placed = [(item.shape, item.position) for item in facts.objects if item.shape and item.position]
        pairs = [
            {"first": shape, "second": other_shape}
            for shape, position in placed
            for other_shape, other_position in placed
            if holds in relations(position, other_position)
        ]
        return (rng.choice(pairs), "yes" if holds == relation else "no") if pairs else None

    return asker


def _binding(answer: str, key: str) -> Asker:
    """One attribute of an object among several that is named by another attribute."""

    def asker(facts: PartialScene, rng: random.Random) -> Asked | None:
        keys, answers = all_of(facts, key), all_of(facts, answer)
        if facts.count == 1 or keys is None or answers is None:
            return None
        index = rng.randrange(len(keys))
        return {key: keys[index]}, answers[index]

    return asker


def _quantity_and_texture(facts: PartialScene, rng: random.Random) -> Asked | None:
    count, texture = _scene_fact(facts, "count"), facts.texture
    if count is None or texture is None:
        return None
    is_one = facts.count == 1
    asked_one = is_one if rng.random() < 0.75 else not is_one
    asked_texture = texture if rng.random() < 0.67 else _other("texture", [texture], rng)
    objects = "there is one object" if is_one else f"there are {count} objects"
    answer = _because(f"{objects} and the background is {texture}", asked_one == is_one and asked_texture == texture)
    return {"quantity": QUANTITIES[asked_one], "texture": asked_texture}, answer


def _colour_and_size(facts: PartialScene, rng: random.Random) -> Asked | None:
    colours, sizes = all_of(facts, "colour"), all_of(facts, "size")
    if facts.count != 1 or colours is None or sizes is None:
        return None
    colour, size = colours[0], sizes[0]
    asked_colour = colour if rng.random() < 0.67 else _other("colour", [colour], rng)
    asked_size = size if rng.random() < 0.75 else {"small": "large", "large": "small"}[size]
    answer = _because(f"the object is {colour} and {size}", (asked_colour, asked_size) == (colour, size))
    return {"colour": asked_colour, "size": asked_size}, answer


def _domain_and_background(facts: PartialScene, rng: random.Random) -> Asked | None:
    domain, background = facts.domain, facts.background
    if domain is None or background is None:
        return None
    asked_domain = domain if rng.random() < 0.75 else _other("domain", [domain], rng)
    asked_background = background if rng.random() < 0.67 else _other("background", [background], rng)
    is_right = (asked_domain, asked_background) == (domain, background)
    answer = _because(f"{DOMAIN_CLAUSES[domain][1]} and the background is {background}", is_right)
    return {"domain": DOMAIN_CLAUSES[asked_domain][0], "background": asked_background}, answer


def _counting(facts: PartialScene, rng: random.Random) -> Asked | None:
    """How many objects have one of two colours: none, one or two, as often as the scene allows."""
    present = all_of(facts, "colour")
    if present is None:
        return None
    wanted = rng.randint(0, min(2, len(present)))
    absent = [colour for colour in COLOURS if colour not in present]
    asked = [*rng.sample(present, wanted), *rng.sample(absent, 2 - wanted)]
    rng.shuffle(asked)
    return {"first": asked[0], "second": asked[1]}, ("zero", "one", "two")[wanted]


def _same_size(facts: PartialScene, _: random.Random) -> Asked | None:
    sizes = all_of(facts, "size")
    if facts.count == 1 or sizes is None:
        return None
    if len(set(sizes)) == 1:
        return {}, _because(f"all of them are {sizes[0]}", True)
    return {}, _because("some are small and some are large", False)


def _larger(facts: PartialScene, rng: random.Random) -> Asked | None:
    by_size = {
        size: [item.shape for item in facts.objects if item.shape and item.size == size] for size in ("large", "small")
    }
    if not by_size["large"] or not by_size["small"]:
        return None
    larger, smaller = rng.choice(by_size["large"]), rng.choice(by_size["small"])
    first, second = rng.sample((larger, smaller), 2)
    return {"first": first, "second": second}, f"the {larger}, because the {smaller} is small"


def _because(reason: str, is_so: bool) -> str:
    return f"{'yes' if is_so else 'no'}, because {reason}"


def _other(kind: str, present: list[str], rng: random.Random) -> str:
    return rng.choice([value for value in OPTIONS[kind] if value not in present])


ASKERS: dict[str, Asker] = {  # by template
    **{kind: _of_the_object(kind) for kind in ("colour", "shape", "size", "position")},
    **{kind: _of_the_scene(kind) for kind in ("count", "background", "texture", "domain", "reading")},
    **{f"presence/{kind}": _presence(kind) for kind in ("shape", "colour")},
    **{f"relation/{relation}": _relation(relation) for relation in ("left", "right", "above", "below")},
    "binding/colour of shape": _binding("colour", "shape"),
    "binding/position of shape": _binding("position", "shape"),
    "binding/size of shape": _binding("size", "shape"),
    "binding/shape of colour": _binding("shape", "colour"),
    "binding/shape at position": _binding("shape", "position"),
    "binding/colour at position": _binding("colour", "position"),
    "two_facts/object": _of_the_object("colour", "shape"),
    "two_facts/size": _of_the_object("size", "colour"),
    "two_facts/background": _of_the_scene("background", "texture"),
    "two_facts/count": _of_the_scene("count", "texture"),
    "conjunction/count": _quantity_and_texture,
    "conjunction/object": _colour_and_size,
    "conjunction/domain": _domain_and_background,
    "counting": _counting,
    "comparison/sizes": _same_size,
    "comparison/larger": _larger,
}
