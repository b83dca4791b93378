"""Captions that say what an earlier one has said: found by their hash, or, nearly alike, by MinHash of their words.

MinHash with bands (Broder 1997; Leskovec et al., Mining of Massive Datasets, 3.4): two captions that share a share J of
their runs of three words agree in one band of twelve with probability J^12, so of eight bands in one at least with
1 - (1 - J^12)^8: 0.2 % at J = 0.5, 43 % at 0.8, 93 % at 0.9.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xxhash
from jaxtyping import Bool, UInt64

from unicorn.dataset.part import PartWriter
from unicorn.files import replacing
from unicorn.records import Caption
from unicorn.synthesis.block import Verdict
from unicorn.synthesis.parsing import Reason
from unicorn.synthesis.settings import Duplicates

BANDS, ROWS, SHINGLE = 8, 12, 3
VERSION = 1  # of what `signatures` makes; another reads no file of this one

Signatures = UInt64[np.ndarray, "captions columns"]


class Alike:
    """The screen of stage 1: of captions that are alike the first stays, over all blocks.

    What is remembered is 72 bytes a caption, beside the captions in `signatures/`, so that a run that goes on need not
    read them again. A file that is not there is made from the shard.
    """

    def __init__(self, part: PartWriter[Sequence[Caption]], dataset: Path, which: Duplicates) -> None:
        self._part = part
        self._folder = dataset / "signatures"
        self._near = which is Duplicates.near
        self._seen: list[UInt64[np.ndarray, " n"]] | None = None

    def verdicts(self, records: Sequence[Caption]) -> list[Verdict]:
        """On those that are like an earlier one, of this block or of those before it."""
        self._looked_at = signatures(records, near=self._near)
        repeats = _repeats(self._looked_at, self._earlier())
        turned_away = [(row, Reason.DUPLICATE if repeats[row, 0] else Reason.NEAR_DUPLICATE) for row in _rows(repeats)]
        return [
            Verdict(id=records[row].id, unusable=reason.value, answer=records[row].text) for row, reason in turned_away
        ]

    def keep(self, block: int) -> None:
        """Remember the captions that were looked at last; they are written."""
        with replacing(self._path(block)) as temporary, temporary.open("wb") as file:
            np.save(file, self._looked_at)
        self._seen = _merged(self._earlier(), self._looked_at)

    def _earlier(self) -> list[UInt64[np.ndarray, " n"]]:
        """Of each column, the values of all blocks that are written, sorted."""
        if self._seen is None:
            written = [self._load(block) for block in self._part.blocks]
            width = 1 + BANDS if self._near else 1
            self._seen = _merged([np.zeros(0, np.uint64)] * width, *written)
        return self._seen

    def _load(self, block: int) -> Signatures:
        path = self._path(block)
        if path.exists():
            made = np.load(path)
            if len(made) == self._part.rows_of(block):
                return made
        return signatures(self._part.read(block), near=self._near)

    def _path(self, block: int) -> Path:
        return self._folder / f"{'near' if self._near else 'exact'}-{VERSION}-{block:05d}.npy"


def signatures(captions: Sequence[Caption], *, near: bool) -> Signatures:
    """A row a caption: the hash of its words, and, for what is nearly alike, one of each band."""
    words = [caption.text.casefold().split() for caption in captions]
    exact = [xxhash.xxh3_64_intdigest(" ".join(each).encode()) for each in words]
    columns = np.array(exact, np.uint64).reshape(-1, 1)
    return np.hstack([columns, _bands(words)]) if near else columns


def _bands(words: Sequence[Sequence[str]]) -> Signatures:
    from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue]  # compiled, without stubs

    runs = [[" ".join(each[at : at + SHINGLE]) for at in range(max(1, len(each) - SHINGLE + 1))] for each in words]
    digests = np.array(RMinHash.digests_from_token_sets(runs, BANDS * ROWS, 0), np.uint64)
    odd = np.random.default_rng(0).integers(1, 2**63, ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    return (digests.reshape(len(words), BANDS, ROWS) * odd).sum(axis=2, dtype=np.uint64)


def _repeats(made: Signatures, seen: Sequence[UInt64[np.ndarray, " n"]]) -> Bool[np.ndarray, "captions columns"]:
    """Which values, column by column, were seen before, or in an earlier row."""
    repeats = np.ones(made.shape, dtype=bool)
    for column, earlier in enumerate(seen):
        repeats[np.unique(made[:, column], return_index=True)[1], column] = False
        repeats[:, column] |= np.isin(made[:, column], earlier)
    return repeats


def _rows(repeats: Bool[np.ndarray, "captions columns"]) -> list[int]:
    return np.flatnonzero(repeats.any(axis=1)).tolist()


def _merged(seen: Sequence[UInt64[np.ndarray, " n"]], *made: Signatures) -> list[UInt64[np.ndarray, " n"]]:
    return [np.sort(np.concatenate([each, *(block[:, column] for block in made)])) for column, each in enumerate(seen)]
