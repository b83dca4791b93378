"""Answers are right by the scene itself, canonical and balanced; nothing undecided is asked."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unicorn.scenes.graph import PartialScene, Scene, grid, keyed_random, sample_scene
from unicorn.scenes.language import dense_caption
from unicorn.scenes.questions import DESCRIBE_FORMS, FORMS, TASKS, TYPES, Question, ask, questions
from unicorn.scenes.reader import read
from unicorn.scenes.tokenizer import UNKNOWN, build_tokenizer

TOKENIZER = build_tokenizer()
NUMBERS = {1: "one", 2: "two", 3: "three"}


def slots(question: Question) -> dict[str, str]:
    """The words that fill a question's slots, found by matching it with the phrasings of its template."""
    for form in sorted(FORMS[question.template], key=len, reverse=True):
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(form))
        found = re.fullmatch(pattern, question.question)
        if found:
            return found.groupdict()
    raise AssertionError(question)


def truth(question: Question, scene: Scene) -> str:
    """The short answer (before any reason), derived from the scene alone."""
    first = scene.objects[0]
    by = {(kind, getattr(item, kind)): item for item in scene.objects for kind in ("shape", "colour", "position")}
    match question.template.split("/"):
        case ["colour" | "shape" | "size" | "position" as kind]:
            assert len(scene.objects) == 1
            return getattr(first, kind)
        case ["count"]:
            return NUMBERS[len(scene.objects)]
        case ["background" | "texture" | "domain" as kind]:
            return getattr(scene, kind)
        case ["reading"]:
            return " ".join(scene.text)
        case ["presence", kind]:
            return "yes" if (kind, slots(question)[kind]) in by else "no"
        case ["relation", relation]:
            named = slots(question)
            one, other = (grid(by["shape", named[name]].position) for name in ("first", "second"))
            axis, sign = {"left": (1, -1), "right": (1, 1), "above": (0, -1), "below": (0, 1)}[relation]
            return "yes" if (one[axis] - other[axis]) * sign > 0 else "no"
        case ["binding", about]:
            kind, key = about.replace(" at ", " of ").split(" of ")
            return getattr(by[key, slots(question)[key]], kind)
        case ["two_facts", "object"]:
            return f"{first.colour} and {first.shape}"
        case ["two_facts", "size"]:
            return f"{first.size} and {first.colour}"
        case ["two_facts", "background"]:
            return f"{scene.background} and {scene.texture}"
        case ["two_facts", "count"]:
            return f"{NUMBERS[len(scene.objects)]} and {scene.texture}"
        case ["conjunction", "count"]:
            named = slots(question)
            as_many = ("only one" in named["quantity"]) == (len(scene.objects) == 1)
            return "yes" if as_many and named["texture"] == scene.texture else "no"
        case ["conjunction", "object"]:
            return "yes" if slots(question) == {"colour": first.colour, "size": first.size} else "no"
        case ["conjunction", "domain"]:
            named = slots(question)
            return "yes" if scene.domain in named["domain"] and named["background"] == scene.background else "no"
        case ["counting"]:
            named = set(slots(question).values())
            return ("zero", "one", "two")[len(named & {item.colour for item in scene.objects})]
        case ["comparison", "sizes"]:
            return "yes" if len({item.size for item in scene.objects}) == 1 else "no"
        case ["comparison", "larger"]:
            return "the " + next(shape for shape in slots(question).values() if by["shape", shape].size == "large")
        case other:
            raise AssertionError(other)


def plain(question: Question, scene: Scene) -> str:
    """The option that a multiple choice must have right."""
    assert question.options is not None
    assert len(set(question.options)) == 4
    about = question.template.removeprefix("multiple_choice/")
    if about.startswith("present "):
        present = {getattr(item, about.removeprefix("present ")) for item in scene.objects}
        (right,) = present & set(question.options)
        return right
    return truth(Question(type=about, template=about, question=question.question, answer=""), scene)


@settings(deadline=None)
@given(st.integers(), st.sampled_from(list(TASKS)))
def test_answers_are_right(key: int, task: str) -> None:
    scene = sample_scene(keyed_random(key))
    asked = questions(scene.facts, keyed_random(key, "questions"), task=task, number=8)
    assert len(asked) >= 6
    assert len({question.question for question in asked}) == len(asked)
    for question in asked:
        assert question.type in TASKS[task]
        if question.options:
            assert question.options["ABCD".index(question.answer)] == plain(question, scene)
        else:
            assert question.answer.split(", because")[0] == truth(question, scene)


@settings(deadline=None)
@given(st.integers())
def test_what_a_caption_decides_is_answered_as_the_scene_does(key: int) -> None:
    scene = sample_scene(keyed_random(key))
    facts = read(dense_caption(scene, keyed_random(key, "words")))
    for question in questions(facts, keyed_random(key, "questions"), number=40):
        if not question.options:
            assert question.answer.split(", because")[0] == truth(question, scene)


@pytest.mark.parametrize("template", [template for templates in TYPES.values() for template in templates])
def test_nothing_is_asked_where_nothing_is_known(template: str) -> None:
    rng = keyed_random(template)
    assert ask(template, PartialScene(), rng) is None
    assert any(ask(template, sample_scene(rng).facts, rng) for _ in range(50))


def test_yes_and_no_and_letters_come_equally_often() -> None:
    answers: dict[str, Counter[str]] = {}
    for index in range(1500):
        rng = keyed_random("balance", index)
        for question in questions(sample_scene(rng).facts, rng, number=40):
            answers.setdefault(question.template, Counter())[question.answer.split(",")[0]] += 1
    for template, counts in answers.items():
        if template.startswith("multiple_choice"):
            assert min(counts[letter] for letter in "ABCD") > 0.2 * counts.total(), template
        elif set(counts) == {"yes", "no"} and template != "comparison/sizes":
            assert 0.4 < counts["yes"] / counts.total() < 0.6, template


@settings(deadline=None)
@given(st.integers())
def test_the_vocabulary_is_closed(key: int) -> None:
    for question in questions(sample_scene(keyed_random(key)).facts, keyed_random(key), number=40):
        assert UNKNOWN not in TOKENIZER.tokenize(f"{question.prompt} {question.answer} {' '.join(DESCRIBE_FORMS)}")
        assert TOKENIZER.decode(TOKENIZER(question.answer).input_ids) == question.answer
