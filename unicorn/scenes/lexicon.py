"""The names of every fact: what a scene's language is made of, for writing it and for reading it.

Words are lower case; upper case and digits are kept for what is written in a picture, and for the letters of options.
"""

import re
from collections.abc import Iterable

from unicorn.scenes.graph import CHARACTERS, POSITIONS, grid

SHAPE_NAMES = {
    "circle": ("circle", "disc", "round dot"),
    "square": ("square", "box"),
    "triangle": ("triangle", "wedge"),
    "star": ("star", "five pointed star"),
    "cross": ("cross", "plus sign"),
    "ring": ("ring", "hoop"),
}
COLOUR_NAMES = {
    "red": ("red", "crimson", "scarlet"),
    "orange": ("orange", "tangerine"),
    "yellow": ("yellow", "lemon yellow", "golden"),
    "green": ("green", "emerald"),
    "blue": ("blue", "cobalt"),
    "purple": ("purple", "violet"),
    "pink": ("pink", "rosy"),
}
SIZE_NAMES = {"small": ("small", "little", "tiny"), "large": ("large", "big", "huge")}
BACKGROUND_NAMES = {
    "white": ("white", "snow white"),
    "black": ("black", "pitch black"),
    "gray": ("gray", "grey"),
    "brown": ("brown", "chestnut"),
    "turquoise": ("turquoise", "teal"),
}
TEXTURE_NAMES = {
    "plain": ("plain", "solid", "uniform"),
    "striped": ("striped", "banded"),
    "dotted": ("dotted", "spotted", "speckled"),
    "checkered": ("checkered", "chequered"),
}
_ROW_NAMES = ("top", "upper"), ("center", "middle"), ("bottom", "lower")
_COLUMN_NAMES = ("left",), ("center", "middle"), ("right",)
POSITION_NAMES = {
    position: ("center", "middle")
    if position == "center"
    else tuple(
        f"{row} {column}" for row in _ROW_NAMES[grid(position)[0]] for column in _COLUMN_NAMES[grid(position)[1]]
    )
    for position in POSITIONS
}
DOMAIN_NAMES = {  # adjective and noun
    "day": ("daylight photo", "daytime picture"),
    "sketch": ("pencil sketch", "hand drawing"),
    "night": ("night photo", "nocturnal picture"),
    "satellite": ("satellite image", "aerial view"),
}
COUNT_NAMES = {1: ("one", "a single"), 2: ("two", "a pair of"), 3: ("three", "a trio of")}  # the first is canonical
COUNTED = {1: ("object", "shape"), 2: ("objects", "shapes"), 3: ("objects", "shapes")}
RELATION_NAMES = {
    "left": ("left of", "to the left of"),
    "right": ("right of", "to the right of"),
    "above": ("above", "higher than"),
    "below": ("below", "lower than"),
}

LETTERS = "ABCD"  # of the options of a multiple choice
_TOKEN = re.compile(r"[A-Z]?[a-z]+|[A-Z0-9]|[.,:?]")


def words(text: str) -> list[str]:
    """The words, written characters and punctuation marks of a text, as the tokenizer sees them."""
    return _TOKEN.findall(text)


def spell(text: str) -> str:
    """What is written in a scene, character by character: "K 7"."""
    return " ".join(text)


def with_article(phrase: str) -> str:
    """The phrase behind "a" or "an"."""
    return ("an " if phrase[0] in "aeio" else "a ") + phrase


def closed_vocabulary(forms: Iterable[str]) -> list[str]:
    """Every word that names and `forms` are made of, sorted; {slots} of a form are left out."""
    names = (SHAPE_NAMES, COLOUR_NAMES, SIZE_NAMES, BACKGROUND_NAMES, TEXTURE_NAMES, POSITION_NAMES, DOMAIN_NAMES)
    phrases = [name for table in names for values in table.values() for name in values]
    phrases += [
        name for table in (COUNT_NAMES, COUNTED, RELATION_NAMES) for values in table.values() for name in values
    ]
    phrases += [*CHARACTERS, *LETTERS, "a an . , : ?", *(re.sub(r"{\w*}", " ", form) for form in forms)]
    return sorted({word for phrase in phrases for word in words(phrase)})
