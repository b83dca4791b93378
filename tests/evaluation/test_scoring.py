"""Scores and their intervals, against independent derivations."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unicorn.evaluation.scoring import accuracy_by_type, chosen_letter, macro_average, matches, wilson
from unicorn.evaluation.task import Example

Z = 1.959963984540054


@given(st.integers(1, 500).flatmap(lambda asked: st.tuples(st.integers(0, asked), st.just(asked))))
def test_the_ends_of_wilsons_interval_are_where_the_score_test_just_rejects(share: tuple[int, int]) -> None:
    right, asked = share
    low, high = wilson(right, asked)
    assert 0 <= low <= right / asked <= high <= 1
    for end in (low, high):
        if end not in (0, 1):
            z = (right / asked - end) / math.sqrt(end * (1 - end) / asked)
            assert abs(z) == pytest.approx(Z, rel=1e-6)


def test_the_interval_of_a_known_share() -> None:
    assert wilson(8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)  # by hand from Wilson's formula
    assert wilson(0, 20)[0] == pytest.approx(0, abs=1e-12)


def test_the_macro_average_of_one_type_is_that_type() -> None:
    assert macro_average([(30, 40)]) == pytest.approx((0.75, *wilson(30, 40)))


def test_the_macro_interval_covers_the_true_mean_about_95_times_in_a_hundred() -> None:
    rng = np.random.default_rng(0)
    truth, asked = np.array([0.98, 0.7, 0.3]), 60
    draws = rng.binomial(asked, truth, size=(4000, 3))
    intervals = np.array([macro_average([(int(right), asked) for right in draw])[1:] for draw in draws])
    for missed in (truth.mean() < intervals[:, 0], intervals[:, 1] < truth.mean()):
        assert 0.01 < missed.mean() < 0.045


def test_accuracy_by_type_weighs_types_alike_whatever_their_numbers() -> None:
    examples = [_example(kind) for kind in ["colour"] * 8 + ["count"] * 2]
    metrics = accuracy_by_type(examples, np.array([True] * 8 + [True, False]))
    assert metrics["accuracy/colour"] == 1
    assert metrics["accuracy/count"] == 0.5
    assert metrics["accuracy"] == 0.75
    assert (metrics["accuracy_low/count"], metrics["accuracy_high/count"]) == wilson(1, 2)
    assert next(iter(metrics)) == "accuracy"


@pytest.mark.parametrize("answer", ["Red", " red.", "a red", "the  RED ."])
def test_normalisation_leaves_what_was_said(answer: str) -> None:
    assert matches(answer, "red")


@pytest.mark.parametrize("answer", ["", "dark red", "re d", "red and blue"])
def test_a_match_is_exact(answer: str) -> None:
    assert not matches(answer, "red")


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("(B) star", "B"),
        ("B: star", "B"),
        ("the answer is B", "B"),
        ("Answer: B", "B"),
        ("star", "B"),
        ("a star", "B"),
        ("E", None),
        ("A star", "B"),
        ("a large star", None),  # an article, no letter
        ("b.", "B"),
        ("circle and star", None),
        ("", None),
    ],
)
def test_the_letter_an_answer_names(answer: str, letter: str | None) -> None:
    assert chosen_letter(answer, ("circle", "star", "ring", "cross")) == letter


def _example(kind: str) -> Example:
    return Example(id="", picture="", type=kind, template=kind, question="", reference="")
