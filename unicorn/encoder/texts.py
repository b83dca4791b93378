"""What text towers have in common: tokens cut to the context, and batches of like length."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional


class TokenTextTower(ABC):
    """Texts -> unit vectors by way of tokens. A text that is too long loses tokens before its last, which ends it."""

    def __init__(self, *, context: int, dimension: int, tokens_per_batch: int) -> None:
        self.context = context
        self.cut = 0
        self._dimension = dimension
        self._tokens_per_batch = tokens_per_batch

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Unit-norm float32 vectors on the CPU, row by row those of `texts`; `cut` counts those too long."""
        ids = self._tokenize(texts)
        self.cut += sum(len(row) > self.context for row in ids)
        ids = [row if len(row) <= self.context else [*row[: self.context - 1], row[-1]] for row in ids]
        vectors = torch.empty(len(texts), self._dimension)
        for rows in token_batches([self._padded(len(row)) for row in ids], self._tokens_per_batch):
            encoded = self._embed([ids[row] for row in rows])
            vectors[rows] = functional.normalize(encoded.float(), dim=-1).cpu()
        return vectors

    def _padded(self, length: int) -> int:
        """Places that a text of so many tokens takes alone in a batch."""
        return length

    @abstractmethod
    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """The texts' tokens, frame and end included, uncut."""
        ...

    @abstractmethod
    def _embed(self, ids: list[list[int]]) -> Float[Tensor, "n d"]:
        """The vectors of one batch, of any norm."""
        ...


def pad(ids: list[list[int]], value: int) -> Int[Tensor, "n length"]:
    """The rows as one tensor, padded on the right to the longest."""
    return nn.utils.rnn.pad_sequence([torch.tensor(row) for row in ids], batch_first=True, padding_value=value)


def token_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Row numbers in batches that hold, padded to their longest, `budget` tokens at most, or one row alone.

    The longest come first: what does not fit into memory shows at once.
    """
    batches: list[list[int]] = []
    longest = 0
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if not batches or (len(batches[-1]) + 1) * longest > budget:
            batches.append([])
            longest = lengths[row]
        batches[-1].append(row)
    return batches
