"""From a generator's answer to a dense caption or to questions with answers, or to the reason why not."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from jsonschema_rs import Draft202012Validator

from unicorn.llm import Result
from unicorn.records import Task
from unicorn.synthesis.settings import SynthesisSettings

LETTERS = "ABCD"
RULES = 1
"""Counts up when answers are read by other rules, so that what they let through is not mixed unawares."""


class Reason(StrEnum):
    """Why an answer is turned away."""

    NO_ANSWER = "no answer"
    TURNED_DOWN = "request turned down"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    REFUSED = "refused"
    LEANS_ON_TEXT = "leans on the text"
    NOT_ONE_PARAGRAPH = "not one paragraph"
    TOO_SHORT = "too short"
    TOO_LONG = "too long"
    NOT_JSON = "not JSON"
    WRONG_SCHEMA = "wrong schema"
    WRONG_ID = "wrong id"
    REPEATED_QUESTION = "repeated question"
    REPEATED_OPTION = "repeated option"
    DEPENDENT_OPTIONS = "options refer to each other"
    OTHER_LANGUAGE = "another language"
    COPIED = "copies what it was given"
    DUPLICATE = "duplicate"
    NEAR_DUPLICATE = "near-duplicate"


class Unusable(Exception):  # noqa: N818  # it is an outcome, not an error
    """An answer that cannot be used, and why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A question and its answer. Where there are options the answer is one of them."""

    question: str
    answer: str
    options: tuple[str, ...] = ()


_REFUSAL = re.compile(
    r"""\s*["']?(
    (i['\u2019]m|i\ am)\ (sorry|unable)|sorry,|i\ apologi[sz]e|unfortunately,\ i
    |i\ (cannot|can\ not|can['\u2019]t|won['\u2019]t)
        \ (assist|comply|create|do|fulfil|generate|help|provide|see|write)\b
    |as\ an\ ai\b|as\ a\ language\ model\b)""",
    re.IGNORECASE | re.VERBOSE,
)
# What speaks of the text that it was made from would teach the model to look for a text in the image.
_LEANING = re.compile(
    r"""\b(the|this|that|given|provided|above|short|dense)\ (caption|description|passage|paragraph)s?\b
        (?!\ (on|in|below|above|under|beneath|painted|printed|written|reads|reading)\b  # one that is to be seen
        |\ (?-i:[A-Z"'\u201c]))
    |\b(according\ to|based\ on)\ the\ (given\ |provided\ )?text\b(?!\ (on|in|of|above|below|at)\b)
    |\bthe\ text\ (mention|describe|state|indicate|does\ not|doesn['\u2019]t)
    |\b(is|are|was|were|as|not)\ (explicitly\ )?(mentioned|stated|described|specified)\b(?!\ on\b)""",
    re.IGNORECASE | re.VERBOSE,
)
# None of its alternatives matches without one of these words, which are found forty times as fast.
_LEANING_WORDS = (
    "caption",
    "description",
    "passage",
    "paragraph",
    "text",
    "mention",
    "stated",
    "describe",
    "specified",
)
# Options are shuffled, so none may speak of another.
_DEPENDENT = re.compile(
    r"""
    (?i:\b(all|any|both|either|neither|none)\ of\ (the|these|those)\ (above|answers|choices|options|other)\b)
    |(?i:\b(all|both|neither|none)\ of\ (these|those|them)\b)
    |(?i:\boptions?\ )[A-D]\b|\b[A-D]\ (and|or|nor)\ [A-D]\b""",
    re.VERBOSE,
)


# Words that make up a quarter and more of any English text of some length.
_COMMON = frozenset(
    "a an and are as at by for from has have in is it its of on or that the there this to which with".split()  # noqa: SIM905
)
_THOUGHTS = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)  # of a model whose server leaves them in
_FENCED = re.compile(r"```(?:json)?\s*\n(.*)\n\s*```", re.DOTALL | re.IGNORECASE)


def read_caption(result: Result, seed: str, settings: SynthesisSettings) -> str:
    """The dense caption of a seed that a result holds. Raises Unusable."""
    text = _read_text(result)
    if "\n" in text:
        raise Unusable(Reason.NOT_ONE_PARAGRAPH)
    if text[-1].isalnum() or text[-1] in ",;:":  # it stops in mid-sentence, whatever the finish reason
        raise Unusable(Reason.TRUNCATED)
    words = len(text.split())
    if words < settings.words_min:
        raise Unusable(Reason.TOO_SHORT)
    if words > settings.words_max:
        raise Unusable(Reason.TOO_LONG)
    if _leans(text):
        raise Unusable(Reason.LEANS_ON_TEXT)
    if settings.english and not _is_english(text):
        raise Unusable(Reason.OTHER_LANGUAGE)
    if _copies(text, seed):
        raise Unusable(Reason.COPIED)
    return text


def pairs_schema(task: Task, settings: SynthesisSettings) -> dict[str, Any]:
    """The JSON schema of an instruction, `{"id", "QA Pairs": [{"Question", "Options"?, "Answer"}]}`.

    It is the paper's form. Every string is bounded, so that a model under the schema comes to an end.
    """
    reasoned = task is Task.COMPLEX_REASONING
    fields: dict[str, Any] = {"Question": _text(400)}
    if task is Task.MULTIPLE_CHOICE:
        fields |= {
            "Options": _object({letter: _text(200) for letter in LETTERS}),
            "Answer": {"enum": list(LETTERS)},
        }
    else:
        fields |= {"Answer": _text(1200 if reasoned else 600)}
    pairs = {
        "type": "array",
        "items": _object(fields),
        "minItems": settings.pairs_min,
        "maxItems": settings.pairs_max,
    }
    return {"title": task.value, **_object({"id": _text(2000), "QA Pairs": pairs})}


def read_pairs(
    result: Result, caption: str, validator: Draft202012Validator, settings: SynthesisSettings
) -> list[Pair]:
    """The questions about a caption that a result holds, with answers, under the schema of `validator`.

    Raises Unusable.
    """
    text = _read_text(result)
    fenced = _FENCED.fullmatch(text)  # as models that are not bound to a schema like to write it
    try:
        values = orjson.loads(fenced[1] if fenced else text)
    except orjson.JSONDecodeError:
        raise Unusable(Reason.NOT_JSON) from None
    if not validator.is_valid(values):
        raise Unusable(Reason.WRONG_SCHEMA)
    if values["id"] != result.id:
        raise Unusable(Reason.WRONG_ID)
    pairs = [_pair(entry) for entry in values["QA Pairs"]]
    if _repeats([pair.question for pair in pairs]):
        raise Unusable(Reason.REPEATED_QUESTION)
    if settings.english and not _is_english(" ".join(f"{pair.question} {pair.answer}" for pair in pairs)):
        raise Unusable(Reason.OTHER_LANGUAGE)
    if any(_copies(text, caption) for pair in pairs for text in (pair.question, pair.answer)):
        raise Unusable(Reason.COPIED)
    return pairs


def validator_of(schema: dict[str, Any]) -> Draft202012Validator:
    """A validator that is compiled once and used for every answer."""
    return Draft202012Validator(schema)


def _read_text(result: Result) -> str:
    if result.error is not None:
        raise Unusable(Reason.TURNED_DOWN if result.refused else Reason.NO_ANSWER)
    text = _THOUGHTS.sub("", result.text).strip()
    if result.finish_reason == "length":
        raise Unusable(Reason.TRUNCATED)
    if not text:
        raise Unusable(Reason.EMPTY)
    if _REFUSAL.match(text):
        raise Unusable(Reason.REFUSED)
    return text


def _pair(entry: dict[str, Any]) -> Pair:
    question, answer = entry["Question"].strip(), entry["Answer"].strip()
    options: tuple[str, ...] = ()
    if "Options" in entry:
        options = tuple(entry["Options"][letter].strip() for letter in LETTERS)
        if _repeats(options):
            raise Unusable(Reason.REPEATED_OPTION)
        if any(_DEPENDENT.search(option) for option in options):
            raise Unusable(Reason.DEPENDENT_OPTIONS)
        answer = options[LETTERS.index(answer)]
    texts = (question, answer, *options)
    if not all(texts):
        raise Unusable(Reason.EMPTY)
    if any(_REFUSAL.match(text) for text in texts):
        raise Unusable(Reason.REFUSED)
    if any(_leans(text) for text in texts):
        raise Unusable(Reason.LEANS_ON_TEXT)
    return Pair(question=question, answer=answer, options=options)


def _repeats(texts: "list[str] | tuple[str, ...]") -> bool:
    """Whether two of the texts differ in nothing but case, punctuation and space."""
    return len({" ".join(text.casefold().split()).strip(" .,;:!?\"'") for text in texts}) < len(texts)


def _leans(text: str) -> bool:
    lower = text.lower()
    return any(word in lower for word in _LEANING_WORDS) and _LEANING.search(text) is not None


def _is_english(text: str) -> bool:
    """Whether a text is English, by its letters, and, where it is of some length, by its commonest words."""
    if not text.isascii():
        letters = [letter.isascii() for letter in text if letter.isalpha()]
        if letters.count(False) > 0.05 * len(letters):
            return False
    words = text.lower().split()
    return len(words) < 12 or sum(word in _COMMON for word in words) >= 0.1 * len(words)


def _copies(text: str, given: str) -> bool:
    """Whether nine tenths of a text of twenty words or more, in runs of four, stand in what was given.

    A text much shorter than that quotes it, as it may; one much longer goes on from it.
    """
    if text.count(" ") < 19:  # most answers are that short
        return False
    words, source = text.casefold().split(), given.casefold().split()
    if not 0.6 * len(source) <= len(words) <= 2 * len(source):
        return False
    runs, known = ({tuple(each[at : at + 4]) for at in range(len(each) - 3)} for each in (words, source))
    return len(runs & known) >= 0.9 * len(runs)


def _text(longest: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest}


def _object(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
