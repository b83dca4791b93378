"""From a caption of this world back to the facts that it states, and no others."""

from dataclasses import replace
from itertools import pairwise

from unicorn.scenes.graph import CHARACTERS, PartialObject, PartialScene
from unicorn.scenes.language import NO_TEXT_FORMS
from unicorn.scenes.lexicon import (
    BACKGROUND_NAMES,
    COLOUR_NAMES,
    COUNT_NAMES,
    DOMAIN_NAMES,
    POSITION_NAMES,
    RELATION_NAMES,
    SHAPE_NAMES,
    SIZE_NAMES,
    TEXTURE_NAMES,
    words,
)

_TABLES = {
    "shape": SHAPE_NAMES,
    "colour": COLOUR_NAMES,
    "size": SIZE_NAMES,
    "position": POSITION_NAMES,
    "background": BACKGROUND_NAMES,
    "texture": TEXTURE_NAMES,
    "domain": DOMAIN_NAMES,
    "count": COUNT_NAMES,
    "relation": RELATION_NAMES,
    "text": {"": NO_TEXT_FORMS},
}
_FACTS = {  # a phrase, as words -> the fact that it names
    tuple(word for word in words(name) if word != "."): (kind, value)
    for kind, table in _TABLES.items()
    for value, names in table.items()
    for name in names
}
_LONGEST = max(len(phrase) for phrase in _FACTS)
_OF_OBJECTS = ("shape", "colour", "size", "position")
_ARTICLES = ("a", "an")


def read(text: str) -> PartialScene:
    """The facts that a seed caption or a dense caption of the world states; None for what it does not say.

    Objects come in the order in which they are mentioned. What is no caption of this world yields the facts that its
    known words name.
    """
    scene = PartialScene()
    for clause in _clauses(words(text)):
        facts = _facts(clause)
        written = "".join(word for word in clause if word in CHARACTERS)
        stated = {kind: value for kind, value in facts.items() if kind not in (*_OF_OBJECTS, "relation")}
        scene = replace(scene, **stated, **({"text": written} if written else {}))
        described = {kind: str(facts[kind]) for kind in _OF_OBJECTS if kind in facts}
        if not described or "relation" in facts:
            continue
        if clause[0] == "it" and scene.objects:
            objects = (*scene.objects[:-1], replace(scene.objects[-1], **described))
        else:
            objects = (*scene.objects, PartialObject(**described))
        scene = replace(scene, objects=objects)
    return scene


def _clauses(tokens: list[str]) -> list[list[str]]:
    """The text cut at full stops, and at an "and" that brings a thing of its own ("and a blue star")."""
    clauses: list[list[str]] = [[]]
    for token, following in pairwise([*tokens, "."]):
        if token == "." or (token == "and" and following in _ARTICLES):
            clauses.append([])
        else:
            clauses[-1].append(token)
    return [clause for clause in clauses if clause]


def _facts(clause: list[str]) -> dict[str, str | int]:
    """The facts that a clause names, the longest phrase first: "lemon yellow" before "yellow"."""
    facts: dict[str, str | int] = {}
    start = 0
    while start < len(clause):
        for length in range(_LONGEST, 0, -1):
            fact = _FACTS.get(tuple(clause[start : start + length]))
            if fact is not None and len(clause[start : start + length]) == length:
                facts[fact[0]] = fact[1]
                break
        else:
            length = 1
        start += length
    return facts
