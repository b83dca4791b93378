"""The seam between synthesis and where its seeds come from."""

from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

from unicorn.records import Reject, Seed


class SeedSource(Protocol):
    """Seeds in a fixed order, each id once. It can be read as often as one likes."""

    @property
    def name(self) -> str:
        """What the dataset records of its seeds: two sources of one name hold the same seeds."""
        ...

    def __len__(self) -> int:
        """How many seeds there are."""
        ...

    def __iter__(self) -> Iterator[Seed]:
        """All of them, from the first."""
        ...


@runtime_checkable
class Sifting(Protocol):
    """A source that leaves out what is no good seed, and says which and why."""

    @property
    def rejected(self) -> Mapping[str, int]:
        """How many were left out, by reason."""
        ...

    def rejects(self) -> Iterator[Reject]:
        """What was left out, with its text as the answer."""
        ...


class SeedSourceSettings(Protocol):
    """What a file of conf/seeds/ names."""

    def build(self) -> SeedSource:
        """Open the source. Raises UserError if there is nothing, or nothing good, to read."""
        ...
