"""Seeds out of tables of captions: every row is looked at once, and then streamed as often as one likes."""

import logging
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NoReturn

import numpy as np
import xxhash
from jaxtyping import Bool, UInt64

from unicorn.errors import UserError
from unicorn.records import Reject, Seed
from unicorn.report.progress import progress
from unicorn.seeds.filter import DropReason, Filter
from unicorn.seeds.rows import Flaw, Flawed, Row, Table

_log = logging.getLogger(__name__)

# Text, id, domain, whether the id was given, and of a row that is none its flaw; its table, and its number there.
_Checked = tuple[str, str, str, bool, Flaw | None, Table, int]

_AT_ONCE = 8192
_KEPT, _REPEATED = 0, 1  # what becomes of a row, in a byte; from 2 on it is dropped, for a reason
_DROPPED = {reason: fate for fate, reason in enumerate((*DropReason, *Flaw), start=2)}
_REASONS = {fate: reason.value for reason, fate in _DROPPED.items()}


class Corpus:
    """The seeds of some tables: rows that no filter drops, each id once.

    A row without an id gets one from its text and domain, so that it keeps it wherever it moves; when the same row
    comes again it is the same seed, and is left out. An id that a table gives must not come twice. Ids are told apart
    by 64 bits, so that memory holds some 20 bytes a row. With a filter, a row that cannot be read, or brings an id that
    came before, is one more that is dropped; without, it is an error.
    """

    def __init__(self, label: str, tables: Sequence[Table], domain: str, sieve: Filter | None) -> None:
        """Raises UserError naming, without a filter, the first row that is bad, or the source if no seed is left."""
        self._label = label
        self._tables = tables
        self._domain = domain
        self._sieve = sieve
        self._fates = bytearray()
        ids, contents = self._scan()
        fates = np.frombuffer(self._fates, np.uint8)
        self.id_hashes: UInt64[np.ndarray, " n"] = ids[fates == _KEPT]
        """A hash of each seed's id, in the seeds' order."""
        self._digest = xxhash.xxh3_128_hexdigest(contents[fates == _KEPT].tobytes())
        counts = np.bincount(fates, minlength=max(_REASONS) + 1).tolist()
        self._rejected = Counter({reason: counts[fate] for fate, reason in _REASONS.items() if counts[fate]})
        if counts[_REPEATED]:
            _log.warning("%s: %d rows without an id repeat an earlier one and are left out", label, counts[_REPEATED])
        if not len(self):
            raise self._nothing()

    @property
    def name(self) -> str:
        """Where the seeds are from, and a checksum of their ids, domains and texts in their order."""
        return f"{self._label} {self._digest}"

    def __len__(self) -> int:
        return len(self.id_hashes)

    def __iter__(self) -> Iterator[Seed]:
        for (text, identity, domain, *_, table, _), fate in zip(self._rows(), self._fates, strict=True):
            if fate == _KEPT:
                yield Seed(id=identity, text=text, source=table.source, domain=domain)

    @property
    def rejected(self) -> Counter[str]:
        """How many rows the filter dropped, by reason."""
        return self._rejected

    def rejects(self) -> Iterator[Reject]:
        """The rows that the filter dropped, with their reasons; those that are none go by their place."""
        flaws = {_DROPPED[flaw] for flaw in Flaw}
        for (text, identity, *_, table, number), fate in zip(self._rows(), self._fates, strict=True):
            if fate in _REASONS:
                name = table.place(number) if fate in flaws else identity
                yield Reject(id=name, stage="seeds", reason=_REASONS[fate], attempts=0, answer=text)

    def _scan(self) -> tuple[UInt64[np.ndarray, " rows"], UInt64[np.ndarray, " rows"]]:
        """Decide what becomes of each row; return hashes of their ids and of what they say."""
        fates, given = self._fates, bytearray()
        ids, contents, keys = array("Q"), array("Q"), array("Q")
        hashed, sieve = xxhash.xxh3_64_intdigest, self._sieve
        rows = self._rows()
        with progress("reading seeds") as advance:
            while chunk := list(islice(rows, _AT_ONCE)):
                ids.extend([hashed(row[1].encode()) for row in chunk])
                contents.extend([hashed("\0".join(row[:3]).encode()) for row in chunk])
                given.extend([row[3] for row in chunk])
                if sieve:
                    reasons = (row[4] or sieve.reason(row[0]) for row in chunk)
                    fates.extend([_DROPPED[reason] if reason else _KEPT for reason in reasons])
                    keys.extend([hashed(sieve.key(row[0]).encode()) for row in chunk])
                else:
                    fates.extend(bytes(len(chunk)))  # all kept
                advance(len(chunk))
        id_hashes = np.array(ids, np.uint64)
        self._leave_out_repeated(id_hashes, np.frombuffer(given, np.bool_))
        if sieve and sieve.settings.duplicates:
            self._drop_duplicates(id_hashes, np.array(keys, np.uint64))
        return id_hashes, np.array(contents, np.uint64)

    def _leave_out_repeated(self, ids: UInt64[np.ndarray, " rows"], given: Bool[np.ndarray, " rows"]) -> None:
        """Of rows with one id all but the first. Raises UserError if that id was given, and there is no filter."""
        again = _later(np.argsort(ids, kind="stable"), ids)
        if not self._sieve and np.any(again & given):
            self._refuse_second(int(np.argmax(again & given)))
        fates = np.frombuffer(self._fates, np.uint8)
        fates[again & ~given] = _REPEATED
        fates[again & given] = _DROPPED[Flaw.REPEATED]

    def _drop_duplicates(self, ids: UInt64[np.ndarray, " rows"], keys: UInt64[np.ndarray, " rows"]) -> None:
        """Of rows with one key all but the one whose id has the smallest hash, wherever it stands."""
        fates = np.frombuffer(self._fates, np.uint8)
        left = np.flatnonzero(fates == _KEPT)
        order = np.lexsort((ids[left], keys[left]))
        fates[left[_later(order, keys[left])]] = _DROPPED[DropReason.DUPLICATE]

    def _rows(self) -> Iterator[_Checked]:
        for table in self._tables:
            for row in table.rows():
                checked = row if isinstance(row, Flawed) else self._checked(row, table)
                if not isinstance(checked, Flawed):
                    yield checked
                elif self._sieve:
                    yield checked.shown, table.place(checked.number), "", False, checked.flaw, table, checked.number
                else:
                    raise table.bad(checked.number, checked.why)

    def _checked(self, row: Row, table: Table) -> _Checked | Flawed:
        number, text, identity, domain = row
        if isinstance(text, list):
            text = one_of(text, identity)
        if text is None:
            text = ""
        if not isinstance(text, str):
            return _flawed(number, Flaw.TEXT, "text", text)
        text = text.strip()
        if not (text or self._sieve):  # which has its own word for it
            return _flawed(number, Flaw.TEXT, "text", text)
        if domain is None:
            domain = self._domain
        elif not (isinstance(domain, str) and domain.strip()):
            return _flawed(number, Flaw.DOMAIN, "domain", text)
        if identity is None:
            return text, identity_of(text, domain), domain, False, None, table, number
        if isinstance(identity, int):
            identity = str(identity)
        elif not (isinstance(identity, str) and identity.strip()):
            return _flawed(number, Flaw.ID, "id", text)
        return text, identity, domain, True, None, table, number

    def _refuse_second(self, ordinal: int) -> NoReturn:
        """Find the row, by going through all before it, and say so."""
        _, identity, *_, table, number = next(islice(self._rows(), ordinal, None))
        raise table.bad(number, f"the id {identity!r} comes a second time")

    def _nothing(self) -> UserError:
        if not self._rejected:
            return UserError(f"no seeds in {self._label}: it is empty. Choose another, or another seeds=.")
        reason, count = self._rejected.most_common(1)[0]
        return UserError(
            f"no seeds in {self._label}: the filter drops all {self._rejected.total():,}, {count:,} of them for "
            f"{reason!r}. Change seeds.filter, or seeds.columns."
        )


def identity_of(text: str, domain: str) -> str:
    """The id of a seed that nobody has given one: 32 hexadecimal digits of a hash."""
    return xxhash.xxh3_128_hexdigest(f"{domain}\0{text}".encode())


def one_of(texts: Sequence[Any], identity: object) -> Any:
    """One of the captions of a picture, drawn by its id: the same in whatever order they are."""
    if not all(isinstance(text, str) for text in texts):
        return texts
    there = [text.strip() for text in texts if text.strip()]
    return min(there, key=lambda text: xxhash.xxh3_64_intdigest(f"{identity}\0{text}".encode()), default="")


def _later(order: np.ndarray, values: UInt64[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Which values come after an equal one, in an order that puts equal ones side by side."""
    later = np.zeros(len(values), bool)
    later[order[1:]] = values[order[1:]] == values[order[:-1]]
    return later


def _flawed(number: int, flaw: Flaw, column: str, held: Any) -> Flawed:
    return Flawed(number, flaw, f"{column!r} is not a text, or is empty", held)
