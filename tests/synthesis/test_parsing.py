"""Every reason for which an answer is turned away, and answers that look like one and are good."""

import copy
import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from tests.synthesis.stand_ins import SETTINGS, good_pairs
from unicorn.llm import Result
from unicorn.records import Task
from unicorn.synthesis.parsing import Reason, Unusable, pairs_schema, read_caption, read_pairs, validator_of

CAPTION = "A small brown dog sits on a red sofa beside two green cushions."

SEED = "a dog on a sofa"
QA = Task.QUESTION_ANSWERING
LONG = (
    "A small brown dog sits on a red sofa beside two green cushions, and behind it a tall lamp with a white shade "
    "lights a wall of grey bricks, on which three framed photographs of boats hang in a row above a wooden shelf."
)


def caption_reason(text: str = CAPTION, error: str | None = None, finish_reason: str = "stop") -> Reason | None:
    try:
        read_caption(Result(id="7", text=text, error=error, finish_reason=finish_reason), SEED, SETTINGS)
    except Unusable as unusable:
        return unusable.reason
    return None


def pairs_reason(values: Any, task: Task = Task.MULTIPLE_CHOICE) -> Reason | None:
    text = values if isinstance(values, str) else json.dumps(values)
    try:
        read_pairs(Result(id="7", text=text), LONG, validator_of(pairs_schema(task, SETTINGS)), SETTINGS)
    except Unusable as unusable:
        return unusable.reason
    return None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (CAPTION, None),
        ("  \n ", Reason.EMPTY),
        ("I'm sorry, but I can't describe this image for you today.", Reason.REFUSED),
        ("I\N{RIGHT SINGLE QUOTATION MARK}m sorry, but I cannot do that for you now.", Reason.REFUSED),
        ("As an AI language model, I have no eyes to look at it with.", Reason.REFUSED),
        ("I cannot provide a caption of this kind to you at all.", Reason.REFUSED),
        ("Sorry-looking flowers droop over the edge of a blue vase.", None),
        (CAPTION + "\n\n" + CAPTION, Reason.NOT_ONE_PARAGRAPH),
        ("A small dog sits.", Reason.TOO_SHORT),
        ("A dog and " * 20 + "a cat.", Reason.TOO_LONG),
        ("A small brown dog sits on a red sofa beside two gre", Reason.TRUNCATED),
        ("A small brown dog sits on a red sofa,", Reason.TRUNCATED),
        ("The caption shows a small brown dog on a red sofa.", Reason.LEANS_ON_TEXT),
        ("A small brown dog sits on a sofa, as described above.", Reason.LEANS_ON_TEXT),
        ("The text on the sign reads STOP in large white letters.", None),
        ("A white street sign with the caption LOVE stands on a corner.", None),
        ("The description on the label beside the vase is too small to read.", None),
        ("A round clock hangs where the time is stated on a brass plate.", None),
        ("<think>A dog. On a sofa.\n\nYes.</think>\n" + CAPTION, None),
        (
            "\u4e00\u53ea\u68d5\u8272\u7684\u5c0f\u72d7 \u5750 \u5728 \u7ea2\u8272 \u7684 \u6c99\u53d1\u4e0a.",
            Reason.OTHER_LANGUAGE,
        ),
        (
            "Un petit chien brun est assis sur un canap\u00e9 rouge \u00e0 c\u00f4t\u00e9 de deux coussins.",
            Reason.OTHER_LANGUAGE,
        ),
        ("The sign of the caf\u00e9 reads \u201cCr\u00eapes\u201d in white letters above a red door.", None),
        ('A sign on the wall reads "Open until six o\'clock"', None),
    ],
)
def test_captions(text: str, reason: Reason | None) -> None:
    assert caption_reason(text) == reason


def test_an_error_and_a_cut_answer_are_no_captions() -> None:
    assert caption_reason(error="timed out") == Reason.NO_ANSWER
    assert caption_reason(finish_reason="length") == Reason.TRUNCATED


def test_a_caption_loses_the_space_around_it() -> None:
    assert read_caption(Result(id="7", text=f"\n {CAPTION} \n"), SEED, SETTINGS) == CAPTION


@pytest.mark.parametrize("task", list(Task))
def test_the_schema_is_a_schema_and_bounds_every_string(task: Task) -> None:
    schema = pairs_schema(task, SETTINGS)
    jsonschema.Draft202012Validator.check_schema(schema)

    def unbounded(node: Any) -> list[Any]:
        if isinstance(node, dict):
            own = [node] if node.get("type") == "string" and "maxLength" not in node else []
            return own + [found for child in node.values() for found in unbounded(child)]
        return []

    assert unbounded(schema) == []
    assert pairs_reason(good_pairs("7", task), task) is None


def changed(path: list[Any], value: Any) -> dict[str, Any]:
    """A good multiple choice with one value changed, or taken away by None."""
    values: Any = copy.deepcopy(good_pairs("7", "multiple_choice"))
    node = values
    for key in path[:-1]:
        node = node[key]
    if value is None:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return values


FIRST = ["QA Pairs", 0]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ('{"id": "7", "QA Pairs": [', Reason.NOT_JSON),
        ("```json\n{}\n```", Reason.WRONG_SCHEMA),
        ("I'm sorry, I can't.", Reason.REFUSED),
        ([], Reason.WRONG_SCHEMA),
        (changed(["id"], None), Reason.WRONG_SCHEMA),
        (changed(["id"], "8"), Reason.WRONG_ID),
        (changed(["note"], "a key too many"), Reason.WRONG_SCHEMA),
        (changed(["QA Pairs"], []), Reason.WRONG_SCHEMA),
        (changed(["QA Pairs", 1], None), Reason.WRONG_SCHEMA),  # one pair, and two are the least
        (changed([*FIRST, "Options"], None), Reason.WRONG_SCHEMA),
        (changed([*FIRST, "Options", "D"], None), Reason.WRONG_SCHEMA),
        (changed([*FIRST, "Options", "E"], "a fifth"), Reason.WRONG_SCHEMA),
        (changed([*FIRST, "Answer"], "E"), Reason.WRONG_SCHEMA),
        (changed([*FIRST, "Answer"], "round"), Reason.WRONG_SCHEMA),
        (changed([*FIRST, "Question"], ""), Reason.WRONG_SCHEMA),
        (changed([*FIRST, "Question"], "x" * 401), Reason.WRONG_SCHEMA),
        (changed([*FIRST, "Question"], "   "), Reason.EMPTY),
        (changed([*FIRST, "Question"], "is it ROUND"), Reason.REPEATED_QUESTION),
        (changed([*FIRST, "Options", "B"], "Round."), Reason.REPEATED_OPTION),
        (changed([*FIRST, "Options", "B"], "All of the above"), Reason.DEPENDENT_OPTIONS),
        (changed([*FIRST, "Options", "B"], "Both A and C"), Reason.DEPENDENT_OPTIONS),
        (changed([*FIRST, "Options", "B"], "none of these"), Reason.DEPENDENT_OPTIONS),
        (changed([*FIRST, "Options", "B"], "all of wood"), None),
        (changed([*FIRST, "Options", "B"], "I'm sorry, I cannot tell"), Reason.REFUSED),
        (changed([*FIRST, "Question"], "Which shape is mentioned?"), Reason.LEANS_ON_TEXT),
        (changed([*FIRST, "Question"], "What shape is it according to the text?"), Reason.LEANS_ON_TEXT),
        (changed([*FIRST, "Question"], "Based on the text on the sign, what is sold here?"), None),
    ],
)
def test_pairs(values: Any, reason: Reason | None) -> None:
    assert pairs_reason(values) == reason


def test_options_that_differ_in_signs_alone_are_distinct() -> None:
    values = changed([*FIRST, "Options"], {"A": "+", "B": "-", "C": "-1", "D": "1"})
    assert pairs_reason(values) is None


def test_a_pair_holds_the_text_of_the_right_option() -> None:
    values = changed([*FIRST, "Answer"], "C")
    validator = validator_of(pairs_schema(Task.MULTIPLE_CHOICE, SETTINGS))
    first, _ = read_pairs(Result(id="7", text=json.dumps(values)), CAPTION, validator, SETTINGS)
    assert first.answer == "oval"
    assert first.options == ("round", "square", "oval", "long")


def test_an_answer_that_copies_what_it_was_given_is_turned_away_and_one_that_quotes_it_is_not() -> None:
    def of_seed(seed: str) -> str:
        return read_caption(Result(id="7", text=LONG), seed, replace(SETTINGS, words_max=99))

    assert of_seed(SEED) == LONG
    with pytest.raises(Unusable, match=Reason.COPIED):
        of_seed(LONG.replace("small brown", "little"))
    assert pairs_reason(_answered(LONG), QA) == Reason.COPIED
    assert pairs_reason(_answered(LONG.partition(", and")[0] + "."), QA) is None


def _answered(answer: str) -> dict[str, object]:
    asked = ("What is there?", answer), ("Which colour is the sofa?", "It is red.")
    return {"id": "7", "QA Pairs": [{"Question": question, "Answer": said} for question, said in asked]}


def test_questions_in_another_language_are_turned_away() -> None:
    asked = [
        {
            "Question": "\u00bfDe qu\u00e9 color es el perro que est\u00e1 sentado?",
            "Answer": "Es un perro marr\u00f3n muy peque\u00f1o.",
        },
        {"Question": "\u00bfCu\u00e1ntos cojines hay junto al perro?", "Answer": "Hay dos cojines verdes."},
    ]
    assert pairs_reason({"id": "7", "QA Pairs": asked}, QA) == Reason.OTHER_LANGUAGE


def test_json_in_a_fence_is_read_as_if_it_stood_alone() -> None:
    pairs = json.dumps(good_pairs("7", QA))
    assert pairs_reason(f"```json\n{pairs}\n```", QA) is None
    assert pairs_reason(f"Here it is: {pairs}", QA) == Reason.NOT_JSON
