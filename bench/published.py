"""The published way, written by us from its description: a pickled list of dicts, scanned for every item.

Every process unpickles all embeddings; the mean is a loop over them; the shift writes a second copy of all, which
training then looks its items up in. It lives here to be measured, and nothing else uses it.
"""

import pickle
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from jaxtyping import Float32, Int32
from torch import Tensor
from torch.utils.data import Dataset


class Item(TypedDict):
    """One embedding."""

    id: str
    embed: Float32[np.ndarray, " d"]


class Batch(TypedDict):
    """Samples, padded to the longest."""

    input_ids: Int32[Tensor, "n length"]
    image_embeds: Float32[Tensor, "n d"]


def save(path: Path, items: Iterable[Item]) -> None:
    """Pickle the list of all embeddings."""
    with path.open("wb") as file:
        pickle.dump(list(items), file, protocol=pickle.HIGHEST_PROTOCOL)


def load(path: Path) -> list[Item]:
    """Unpickle the list of all embeddings."""
    with path.open("rb") as file:
        return pickle.load(file)


def find(items: list[Item], name: str) -> Float32[np.ndarray, " d"]:
    """The embedding of an id: all items are looked at, also those after it."""
    found = None
    for item in items:
        if item["id"] == name:
            found = item["embed"]
    if found is None:
        raise KeyError(name)
    return found


def mean(items: list[Item]) -> Float32[np.ndarray, " d"]:
    """The mean of all embeddings, one after the other."""
    total = np.zeros_like(items[0]["embed"])
    for item in items:
        total += item["embed"]
    return total / len(items)


def shifted(items: list[Item], centre: Float32[np.ndarray, " d"]) -> list[Item]:
    """A second copy of all embeddings: n(u - mean)."""
    copies = list[Item]()
    for item in items:
        moved = item["embed"] - centre
        copies.append({"id": item["id"], "embed": moved / np.linalg.norm(moved)})
    return copies


@dataclass(kw_only=True)
class ScannedDataset(Dataset[tuple[Int32[Tensor, " length"], Float32[Tensor, " d"]]]):
    """A sample is its tokens and the shifted embedding of its id. `tokens` come ready: only the look-up counts."""

    ids: Sequence[str]
    tokens: Callable[[int], Int32[np.ndarray, " length"]]
    items: list[Item]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[Int32[Tensor, " length"], Float32[Tensor, " d"]]:
        """One sample."""
        return torch.from_numpy(self.tokens(index)), torch.from_numpy(find(self.items, self.ids[index]))


def collate(samples: list[tuple[Int32[Tensor, " length"], Float32[Tensor, " d"]]]) -> Batch:
    """Pad the tokens, stack the embeddings."""
    tokens, vectors = zip(*samples, strict=True)
    return {
        "input_ids": torch.nn.utils.rnn.pad_sequence(list(tokens), batch_first=True),
        "image_embeds": torch.stack(list(vectors)),
    }
