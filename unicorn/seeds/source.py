"""The seam between synthesis and where its seeds come from."""

from collections.abc import Iterator
from typing import Protocol

from unicorn.records import Seed


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


class SeedSourceSettings(Protocol):
    """What a file of conf/seeds/ names."""

    def build(self) -> SeedSource:
        """Open the source. Raises UserError if there is nothing, or nothing good, to read."""
        ...
