"""How the next token of each answer of a batch is drawn."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import LogitsProcessor

if TYPE_CHECKING:
    from unicorn.llm.constrained import Answer


class Sampler(LogitsProcessor):
    """Leaves one token for each row, so that what takes the likeliest takes that.

    A row is drawn by a seed of its own: what its request is answered does not hang on what else is in the batch. A draw
    is a number between 0 and 1, and the token that lies there when the probabilities are put end to end, the likeliest
    first. Rows with a schema are held to it. At temperature 0 nothing is drawn.
    """

    def __init__(
        self, seeds: Sequence[int], schemas: "Sequence[Answer | None]", *, temperature: float, top_p: float
    ) -> None:
        self._chances = [random.Random(seed) for seed in seeds]
        self._bound = {row: answer for row, answer in enumerate(schemas) if answer}
        self._temperature = temperature
        self._top_p = top_p
        self._begun = False

    def __call__(self, input_ids: Int[Tensor, "n t"], scores: Float[Tensor, "n v"]) -> Float[Tensor, "n v"]:
        """Scores of the next tokens, after those in `input_ids`."""
        self._follow_schemas(input_ids, scores)
        if self._temperature == 0:
            return scores
        probabilities, tokens = torch.softmax(scores / self._temperature, -1).sort(dim=-1, descending=True)
        cumulated = probabilities.cumsum(-1)
        # Of the likeliest tokens, those that together reach top_p.
        last = (cumulated < self._top_p).sum(-1, keepdim=True).clamp(max=scores.shape[1] - 1)
        points = torch.tensor([[chance.random()] for chance in self._chances], device=scores.device)
        places = torch.searchsorted(cumulated, points * cumulated.gather(-1, last))
        return torch.full_like(scores, -torch.inf).scatter_(-1, tokens.gather(-1, places), 0.0)

    def _follow_schemas(self, input_ids: Int[Tensor, "n t"], scores: Float[Tensor, "n v"]) -> None:
        """Rule out, in place, what no valid answer goes on with."""
        if self._begun and self._bound:
            written = input_ids[:, -1].tolist()
            for row, answer in self._bound.items():
                answer.write(written[row])
            self._bound = {row: answer for row, answer in self._bound.items() if not answer.ended}
        self._begun = True
        for row, answer in self._bound.items():
            allowed = torch.from_numpy(answer.allowed(scores.shape[1])).to(scores.device)
            scores[row].masked_fill_(~allowed, -torch.inf)
