"""The draw of a token against torch's own arithmetic."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unicorn.llm.sampler import Sampler

LOGITS = st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=12)


def draw(logits: torch.Tensor, seeds: list[int], *, temperature: float = 1.0, top_p: float = 1.0) -> torch.Tensor:
    rows = logits.expand(len(seeds), -1).clone()
    scores = Sampler(seeds, [None] * len(seeds), temperature=temperature, top_p=top_p)(torch.zeros(len(seeds), 1), rows)
    return scores.argmax(-1)


def test_tokens_come_as_often_as_they_are_likely() -> None:
    logits = torch.tensor([1.0, -1.0, 2.0, 0.0])
    counts = draw(logits, list(range(20_000)), temperature=0.7).bincount(minlength=4) / 20_000
    assert torch.allclose(counts, torch.softmax(logits / 0.7, -1), atol=0.012)


@given(logits=LOGITS, top_p=st.floats(0.01, 1, exclude_min=True), seed=st.integers(0, 2**63))
def test_a_token_is_one_of_the_likeliest_that_reach_top_p(logits: list[float], top_p: float, seed: int) -> None:
    given_ = torch.tensor(logits)
    probabilities = torch.softmax(given_, -1)
    chosen = probabilities[draw(given_, [seed], top_p=top_p)[0]]
    likelier = probabilities[probabilities > chosen].sum()
    assert likelier < top_p + 1e-6


def test_what_is_ruled_out_is_never_drawn() -> None:
    logits = torch.tensor([0.0, -torch.inf, 0.0, -torch.inf])
    assert set(draw(logits, list(range(2000))).tolist()) == {0, 2}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_temperature_0_changes_nothing(seed: int) -> None:
    logits = torch.tensor([0.0, 3.0, 1.0])
    assert draw(logits, [seed], temperature=0.0).tolist() == [1]
