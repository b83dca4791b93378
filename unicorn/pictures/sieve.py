"""Pictures as they are read: decoded and passed on, or rejected with a reason."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, cast

from unicorn.errors import UserError, in_a_line
from unicorn.pictures.decoding import DecodingSettings, UnreadableError, decode
from unicorn.pictures.source import Picture, Rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A picture as it lies there: the bytes of its file, or the path or address of that; None where it has neither."""

    id: str
    file: bytes | str | None
    caption: str = ""
    domain: str = "open"


class Store(Protocol):
    """Where encoded pictures lie."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    def encoded(self) -> Iterable[Encoded]:
        """Every picture, in the same order each time, read as they are asked for."""
        ...


class Sieve:
    """The pictures of a store that can be decoded, each id once; the others are its rejections."""

    def __init__(self, store: Store, settings: DecodingSettings) -> None:
        self._store = store
        self._settings = settings
        self._rejections: list[Rejection] = []

    @property
    def rejections(self) -> Sequence[Rejection]:
        """What the last pass left out."""
        return self._rejections

    def pictures(self) -> Iterator[Picture]:
        """Decode one after the other. Raises UserError, after the last, if there was not one picture."""
        self._rejections = []
        seen = set[str]()
        for encoded in self._store.encoded():
            try:
                picture = self._picture(encoded, seen)
            except UnreadableError as error:
                self._rejections.append(Rejection(id=encoded.id, reason=str(error)))
            else:
                seen.add(picture.id)
                yield picture
        if not seen:
            there = "it is empty"
            if self._rejections:
                first = self._rejections[0]
                there = f"all {len(self._rejections):,} are rejected, the first, {first.id}: {first.reason}"
            raise UserError(f"no picture in {self._store.name}: {there}. Choose another by pictures=.")

    def _picture(self, encoded: Encoded, seen: set[str]) -> Picture:
        if encoded.id in seen:
            raise UnreadableError("its id came before")
        if encoded.file is None:
            raise UnreadableError("there are no bytes")
        image = decode(_bytes(encoded.file), self._settings)
        return Picture(id=encoded.id, image=image, caption=encoded.caption, domain=encoded.domain)


def _bytes(file: bytes | str) -> bytes:
    if isinstance(file, bytes):
        return file
    try:
        if "://" in file:  # as a streamed dataset gives them
            import fsspec

            with fsspec.open(file, "rb") as opened:
                return cast("IO[bytes]", opened).read()
        return Path(file).read_bytes()
    except Exception as error:  # of the disk, the network or whatever file system the address names: any
        raise UnreadableError(f"cannot be opened ({in_a_line(error)})") from error
