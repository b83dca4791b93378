"""What is right without looking: the usual answer to a question, and answers about another picture."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from unicorn.errors import UserError
from unicorn.evaluation.task import Example


def majority_answers(examples: Sequence[Example]) -> list[str]:
    """For each example the most frequent reference of its template; among equals, the first of the alphabet.

    The majority is that of the test set itself: no guess that looks at the template alone can do better.
    """
    references = defaultdict[str, Counter[str]](Counter)
    for example in examples:
        references[example.template][example.reference] += 1
    majority = {
        template: min(counts, key=lambda reference: (-counts[reference], reference))
        for template, counts in references.items()
    }
    return [majority[example.template] for example in examples]


def other_pictures(count: int, seed: int) -> Int64[np.ndarray, " count"]:
    """For each picture another one: a random cycle through all of them, so that none keeps its own.

    Raises UserError if there is only one.
    """
    if count < 2:
        raise UserError("a benchmark of one picture has no shuffled baseline. Give it two pictures or more.")
    order = np.random.default_rng(seed).permutation(count)
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)
    return other
