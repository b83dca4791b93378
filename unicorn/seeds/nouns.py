"""English nouns: a or an, the plural, and names. What no rule gives is in nouns.yaml; for the rest it is inflect that knows.

No other module knows of inflect.
"""

import re
from enum import Enum
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from inflect import engine

_AROUND = re.compile(r"\s(?:of|in|on|with|without|for|from|de|à|a la|au|aux|del|di)\s|-(?:of|in|on)-", re.IGNORECASE)
_LETTERS_LIKE_VOWELS = frozenset("AEFHILMNORSX")  # by their names
_CACHED = 1 << 16  # words: a question to inflect takes a ten-thousandth of a second
_GERUND = re.compile(r"\b\w{2,}ing\b")


class Number(Enum):
    """What kind of noun a label is."""

    COUNTABLE = "countable"
    UNCOUNTABLE = "uncountable"
    PLURAL = "plural"


def number_of(label: str) -> Number:
    """Whether a common noun can be counted, cannot, or is a plural already."""
    words = _words_to_look_up(label)
    if any(word in _listed("uncountable") for word in words):
        return Number.UNCOUNTABLE
    if any(word in _listed("plural") or word in _listed("plural_in_us_and_is") for word in words):
        return Number.PLURAL
    if any(word in _listed("singular") or word in _plurals() for word in words):
        return Number.COUNTABLE
    head = words[-1]
    ends_so = len(head) > 3 and head.isalpha() and head.endswith("s") and not head.endswith(("ss", "us", "is"))
    return Number.PLURAL if ends_so and not _is_unchanging(head) else Number.COUNTABLE


def plural(label: str) -> str:
    """The plural of a common noun that can be counted: birds of prey, mice, sheep."""
    if (whole := _plurals().get(label.lower())) is not None:
        return _in_case_of(label, whole)
    around = _AROUND.search(label)
    head, rest = (label[: around.start()], label[around.start() :]) if around else (label, "")
    before, space, last = head.rpartition(" ")
    if (own := _plurals().get(last.lower())) is not None:
        last = _in_case_of(last, own)
    elif last[-1].isdigit() or (last.isupper() and len(last) > 1):
        last += "s"
    elif last.lower() in _listed("uncountable"):
        pass
    else:
        last = _plural_word(last)
    return f"{before}{space}{last}{rest}"


def article(phrase: str) -> str:
    """`a` or `an`, by the sound of the first word: an hour, a unicorn, an MRI, an 8-track."""
    first = re.split(r"[\s/]", phrase, maxsplit=1)[0].strip("\"'(\u2018\u201c")
    word = first.lower()
    for part in (word, re.split(r"[-'\u2019]", word)[0]):
        if part in _listed("a"):
            return "a"
        if part in _listed("an"):
            return "an"
    if digits := re.match(r"\d[\d,]*", first):
        return "an" if _begins_with_a_vowel(digits[0]) else "a"
    letters = re.match(r"[A-Z]+", first)
    spelt = letters and (
        (len(letters[0]) == 1 and re.match(r"[A-Z](?![a-z])", first))
        or (1 < len(letters[0]) < 4 and not first[letters.end() :][:1].islower())
    )
    if letters and spelt:
        return "an" if letters[0][0] in _LETTERS_LIKE_VOWELS else "a"
    return _by_sound(first)


def with_the(name: str) -> str:
    """A proper name as it stands in a sentence: the Eiffel Tower, Big Ben."""
    plain = name.lower()
    if plain.startswith("the "):
        return f"the {name[4:]}"
    takes_it = plain in _listed("the") or any(
        word in _listed("the_last") for word in (_words_to_look_up(plain)[-1], " ".join(plain.split()[-2:]))
    )
    return f"the {name}" if takes_it and plain not in _listed("no_the") else name


def doing(activity: str) -> str:
    """What somebody is at: playing the violin, playing chess, doing archery."""
    if _GERUND.search(activity.lower()):
        return activity
    played = activity.lower() in _listed("played") or activity.lower().endswith("ball")
    return f"{'playing' if played else 'doing'} {activity}"


def _words_to_look_up(label: str) -> tuple[str, ...]:
    """The whole label, its last two words, and the noun that it is about, in lower case."""
    plain = label.lower()
    head = _AROUND.split(plain, maxsplit=1)[0].split()
    return plain, " ".join(head[-2:]), head[-1]


def _begins_with_a_vowel(number: str) -> bool:
    """Whether a number is read as eight, eleven or eighteen first; years such as 1866 by their hundreds."""
    digits = number.split(",")[0]
    return digits.startswith("8") or (digits[:2] in ("11", "18") and len(digits) in (2, 4, 5))


def _in_case_of(original: str, word: str) -> str:
    return word[0].upper() + word[1:] if original[0].isupper() else word


@lru_cache(_CACHED)
def _by_sound(word: str) -> str:
    return _engine().a(word).split(" ", 1)[0]


@lru_cache(_CACHED)
def _plural_word(word: str) -> str:
    return _engine().plural_noun(word)


@lru_cache(_CACHED)
def _is_unchanging(word: str) -> bool:
    """Whether a word is its own plural, such as series."""
    return _engine().plural_noun(word) == word and _engine().singular_noun(word) == word


@cache
def _book() -> dict[str, list[str] | dict[str, str]]:
    return yaml.safe_load(files("unicorn.seeds").joinpath("nouns.yaml").read_text(encoding="utf-8"))


@cache
def _listed(key: str) -> frozenset[str]:
    return frozenset(_book()[key])


@cache
def _plurals() -> dict[str, str]:
    return dict(_book()["plurals"])


@cache
def _engine() -> "engine":
    import inflect

    return inflect.engine()
