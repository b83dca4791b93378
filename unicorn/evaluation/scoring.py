"""Whether an answer is right, and how sure a share of right answers is.

The interval of one share is Wilson's (1927). The headline accuracy is the macro average over question types:
it does not depend on how often each is asked. Its interval joins theirs by the square-and-add rule (Newcombe
1998; Zou and Donner 2008), which, unlike a normal interval, holds near 0 and 1.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from jaxtyping import Bool

from unicorn.evaluation.task import LETTERS, Example

_Z = NormalDist().inv_cdf(0.975)
_ARTICLES = re.compile(r"^(?:a|an|the)\s+")
_LETTER = re.compile(r"^\W*(?:(?:the\s+)?(?:answer|option)(?:\s+is)?\W*)?([A-J])(?=\s*(?:[.):,]|$))", re.IGNORECASE)


def normalise(answer: str) -> str:
    """Lower case, single spaces, no article in front and no full stop at the end."""
    text = " ".join(unicodedata.normalize("NFKC", answer).lower().split())
    return _ARTICLES.sub("", text.rstrip(" .!"))


def matches(answer: str, reference: str) -> bool:
    """Exact match after normalisation."""
    return normalise(answer) == normalise(reference)


def chosen_letter(answer: str, choices: Sequence[str]) -> str | None:
    """The letter of the option that an answer names, by the option's text or by its letter."""
    for letter, choice in zip(LETTERS, choices, strict=False):
        if matches(answer, choice):
            return letter
    found = _LETTER.match(answer)
    return found[1].upper() if found and found[1].upper() in LETTERS[: len(choices)] else None


def wilson(right: int, asked: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share."""
    share, spread = right / asked, _Z * _Z / asked
    center = (share + spread / 2) / (1 + spread)
    half = _Z * math.sqrt(share * (1 - share) / asked + spread / (4 * asked)) / (1 + spread)
    return max(0.0, min(share, center - half)), min(1.0, max(share, center + half))


def macro_average(shares: Sequence[tuple[int, int]]) -> tuple[float, float, float]:
    """Mean of the shares (right, asked), and its 95% interval."""
    values = [right / asked for right, asked in shares]
    mean, count = sum(values) / len(values), len(values)
    intervals = [wilson(right, asked) for right, asked in shares]
    below = math.hypot(*(value - low for value, (low, _) in zip(values, intervals, strict=True))) / count
    above = math.hypot(*(high - value for value, (_, high) in zip(values, intervals, strict=True))) / count
    return mean, mean - below, mean + above


def accuracy_by_type(examples: Sequence[Example], correct: Bool[np.ndarray, " n"]) -> dict[str, float]:
    """`accuracy` (macro average over the types), `accuracy/<type>`, and the ends of their intervals.

    The ends are `accuracy_low` and `accuracy_high`, `accuracy_low/<type>` and `accuracy_high/<type>`.
    """
    types = np.array([example.type for example in examples])
    names = sorted(set(types.tolist()))
    shares = [(int(correct[types == name].sum()), int((types == name).sum())) for name in names]
    rows = {"": macro_average(shares)} | {
        f"/{name}": (right / asked, *wilson(right, asked)) for name, (right, asked) in zip(names, shares, strict=True)
    }
    return {
        f"accuracy{end}{suffix}": row[place]
        for place, end in enumerate(("", "_low", "_high"))
        for suffix, row in rows.items()
    }
