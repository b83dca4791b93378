"""Baselines: the usual answer, and another picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unicorn.errors import UserError
from unicorn.evaluation.baselines import majority_answers, other_pictures
from unicorn.evaluation.task import Example


@given(count=st.integers(2, 200), seed=st.integers(0, 2**32 - 1))
def test_no_picture_keeps_itself_and_each_is_used_once(count: int, seed: int) -> None:
    other = other_pictures(count, seed)
    assert not (other == np.arange(count)).any()
    assert sorted(other.tolist()) == list(range(count))


def test_the_shuffle_follows_the_seed() -> None:
    assert (other_pictures(50, 1) == other_pictures(50, 1)).all()
    assert (other_pictures(50, 1) != other_pictures(50, 2)).any()


def test_one_picture_cannot_be_shuffled() -> None:
    with pytest.raises(UserError, match="two pictures or more"):
        other_pictures(1, seed=0)


def test_the_majority_is_that_of_the_template() -> None:
    asked = [("colour", "red"), ("colour", "red"), ("colour", "blue"), ("count", "2"), ("count", "1")]
    examples = [
        Example(id=str(row), picture="", type="any", template=template, question="", reference=reference)
        for row, (template, reference) in enumerate(asked)
    ]
    assert majority_answers(examples) == ["red", "red", "red", "1", "1"]
