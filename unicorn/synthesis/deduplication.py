"""Captions that say what an earlier one has said: found by their hash, or, nearly alike, by MinHash of their words.

MinHash with bands (Broder 1997; Leskovec et al., Mining of Massive Datasets, 3.4): two captions that share a share J of
their runs of three words agree in one band of twelve with probability J^12, so of eight bands in one at least with
1 - (1 - J^12)^8: 0.2 % at J = 0.5, 43 % at 0.8, 93 % at 0.9.
"""

import shutil
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


class Deduplication:
    """The screen of stage 1: of captions that are alike the first stays, over all blocks.

    What is remembered is 72 bytes a caption, beside the captions in `signatures/` as long as they are being made, so
    that a run that goes on need not read them again. A file that is not there is made from the shard.
    """

    def __init__(self, part: PartWriter[Sequence[Caption]], dataset: Path, which: Duplicates) -> None:
        self._part = part
        self._folder = dataset / "signatures"
        self._near = which is Duplicates.near
        self._known: dict[str, tuple[Caption, UInt64[np.ndarray, " columns"]]] = {}  # by id, of blocks not yet written
        self._looked_at: Signatures = np.zeros((0, self._width), np.uint64)
        self._seen: list[UInt64[np.ndarray, " n"]] | None = None

    @property
    def _width(self) -> int:
        return 1 + BANDS if self._near else 1

    def look(self, records: Sequence[Caption]) -> None:
        """Take the signatures of captions as they come, while others are waited for."""
        new = [caption for caption in records if self._known.get(caption.id, (None,))[0] is not caption]
        for caption, row in zip(new, signatures(new, near=self._near), strict=True):
            self._known[caption.id] = caption, row

    def verdicts(self, records: Sequence[Caption]) -> list[Verdict]:
        """On those that are like an earlier one, of this block or of those before it."""
        self.look(records)
        rows = [self._known[caption.id][1] for caption in records]
        self._looked_at = np.array(rows, np.uint64).reshape(-1, self._width)
        repeats = _repeats(self._looked_at, self._earlier())
        verdicts: list[Verdict] = []
        for row in np.flatnonzero(repeats.any(axis=1)).tolist():
            caption, reason = records[row], Reason.DUPLICATE if repeats[row, 0] else Reason.NEAR_DUPLICATE
            verdicts.append(Verdict(id=caption.id, unusable=reason.value, answer=caption.text))
            del self._known[caption.id]
        return verdicts

    def keep(self, block: int, records: Sequence[Caption]) -> None:
        """Remember the captions that were looked at last; they are written."""
        with replacing(self._path(block)) as temporary, temporary.open("wb") as file:
            np.save(file, self._looked_at)
        self._seen = _merged(self._earlier(), self._looked_at)
        for caption in records:
            del self._known[caption.id]

    def forget(self) -> None:
        """There are no more captions to come."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _earlier(self) -> list[UInt64[np.ndarray, " n"]]:
        """Of each column, the values of all blocks that are written, sorted."""
        if self._seen is None:
            written = [self._load(block) for block in self._part.blocks]
            together = np.concatenate([np.zeros((0, self._width), np.uint64), *written])
            self._seen = [np.sort(together[:, column]) for column in range(self._width)]
        return self._seen

    def _load(self, block: int) -> Signatures:
        try:
            return np.load(self._path(block))
        except (OSError, ValueError, EOFError):  # it is not there, or no longer whole
            return signatures(self._part.read(block), near=self._near)

    def _path(self, block: int) -> Path:
        return self._folder / signatures_name(block, self._part.checksum_of(block), near=self._near)


def signatures_name(block: int, checksum: str, *, near: bool) -> str:
    """The file of a block's signatures, which is named by the shard that they are of."""
    return f"{'near' if near else 'exact'}-{VERSION}-{block:05d}-{checksum[:16]}.npy"


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
        values = made[:, column]
        repeats[np.unique(values, return_index=True)[1], column] = False
        places = np.searchsorted(earlier, values)  # where isin would sort them all again
        found = places < len(earlier)
        found[found] = earlier[places[found]] == values[found]
        repeats[:, column] |= found
    return repeats


def _merged(seen: Sequence[UInt64[np.ndarray, " n"]], made: Signatures) -> list[UInt64[np.ndarray, " n"]]:
    columns = [np.sort(made[:, column]) for column in range(made.shape[1])]
    return [np.insert(each, np.searchsorted(each, new), new) for each, new in zip(seen, columns, strict=True)]
