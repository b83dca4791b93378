"""English nouns: a or an, the plural, and names. What follows no rule is in nouns.yaml; pluralizer knows the rest.

No other module knows of pluralizer.
"""

import re
from enum import Enum
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pluralizer import Pluralizer

_AROUND = re.compile(r"\s(?:of|in|on|with|without|for|from|de|à|a la|au|aux|del|di)\s|-(?:of|in|on)-", re.IGNORECASE)
_LETTERS_LIKE_VOWELS = frozenset("AEFHILMNORSX")  # by their names
_SILENT_H = re.compile(r"h(?:eir|onest|ono|our)")
_LIKE_YOU_OR_ONE = re.compile(r"e[uw]|onc?e(?![a-z])|uni(?![dmn])|unimog|u[bcfgjkqrst][aeiou]")
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
    return Number.PLURAL if ends_so else Number.COUNTABLE


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
    vowel = _SILENT_H.match(word) or (word[:1] in "aeiou" and not _LIKE_YOU_OR_ONE.match(word))
    return "an" if vowel else "a"


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


@lru_cache(1 << 16)
def _plural_word(word: str) -> str:
    return _pluralizer().plural(word)


@cache
def _book() -> dict[str, Any]:
    return yaml.safe_load(files("unicorn.seeds").joinpath("nouns.yaml").read_text(encoding="utf-8"))


@cache
def _listed(key: str) -> frozenset[str]:
    return frozenset(_book()[key])


@cache
def _plurals() -> dict[str, str]:
    return dict(_book()["plurals"])


@cache
def _pluralizer() -> "Pluralizer":
    from pluralizer import Pluralizer

    return Pluralizer()
