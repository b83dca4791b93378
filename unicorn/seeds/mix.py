"""Seeds out of several sources, so many of each."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import xxhash
from jaxtyping import Bool

from unicorn.errors import UserError
from unicorn.records import Reject, Seed
from unicorn.seeds.corpus import Corpus
from unicorn.seeds.source import SeedSource, Sifting

Amount = TypeVar("Amount", int, float)


@dataclass(kw_only=True)
class MixSettings:
    """`parts` by name, each the settings of a source.

    `counts` says how many seeds to draw of a part; one that it does not name gives all. Or `weights` says in which
    proportion: of `total` seeds together, or, without, of as many as the parts have. `seed` draws.
    """

    parts: dict[str, Any] = field(default_factory=dict[str, Any])
    counts: dict[str, int | None] = field(default_factory=dict[str, int | None])
    weights: dict[str, float | None] = field(default_factory=dict[str, float | None])
    total: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        counts, weights = _given(self.counts), _given(self.weights)
        if weights and counts:
            raise UserError("seeds.weights and seeds.counts both say how many seeds a part gives. Set one of them.")
        if self.total is not None and not weights:
            raise UserError(
                "seeds.total is shared out by seeds.weights, which is empty. Set it, or seeds.counts instead."
            )
        for key, amounts in (("counts", counts), ("weights", weights)):
            for name, amount in amounts.items():
                if name not in self.parts:
                    raise UserError(f"seeds.{key}.{name}: no such part. There are {', '.join(self.parts)}.")
                if amount < 0:
                    raise UserError(f"seeds.{key}.{name}={amount}: a part gives 0 seeds or more.")
        if weights and (unnamed := self.parts.keys() - weights.keys()):
            raise UserError(f"seeds.weights names no {min(unnamed)!r}. Give every part its weight, be it 0.")

    def build(self) -> "Mix":
        """Open the sources and draw. Raises UserError if one has fewer seeds than it shall give."""
        sources: dict[str, SeedSource] = {name: part.build() for name, part in self.parts.items()}
        drawn = self._drawn({name: len(source) for name, source in sources.items()})
        parts = [Part(name, source, drawn[name], self.seed) for name, source in sources.items() if drawn[name]]
        if not parts:
            raise UserError("a mix of no seeds: set seeds.parts, and counts or weights above 0.")
        return Mix(parts)

    def _drawn(self, there: dict[str, int]) -> dict[str, int]:
        """How many seeds each part gives."""
        drawn = there | _given(self.counts)
        weights = _given(self.weights)
        if whole := sum(weights.values()):
            most = min(there[name] * whole / weight for name, weight in weights.items() if weight)
            total = most if self.total is None else self.total
            drawn = {name: round(total * weight / whole) for name, weight in weights.items()}
        for name, count in drawn.items():
            if count > there[name]:
                raise UserError(
                    f"the part {name!r} of the mix has {there[name]:,} seeds, and {count:,} are to be drawn. "
                    f"Lower seeds.counts.{name}= or seeds.total=."
                )
        return drawn


def _given(amounts: dict[str, Amount | None]) -> dict[str, Amount]:
    return {name: amount for name, amount in amounts.items() if amount is not None}


class Part:
    """Some of a source's seeds: those whose ids have the smallest hashes, whatever their order.

    Their ids get the part's name in front, so that two parts may have the same.
    """

    def __init__(self, name: str, source: SeedSource, count: int, seed: int) -> None:
        self._label = name
        self._source = source
        self._count = count
        self._seed = seed
        self._drawn: Bool[np.ndarray, " n"] | None = None if count == len(source) else self._draw()

    def _draw(self) -> Bool[np.ndarray, " n"]:
        source = self._source
        if isinstance(source, Corpus):
            hashes = source.id_hashes
        else:
            ids = (xxhash.xxh3_64_intdigest(seed.id.encode()) for seed in source)
            hashes = np.fromiter(ids, np.uint64, len(source))
        key = np.uint64(xxhash.xxh3_64_intdigest(f"{self._seed}\0{self._label}".encode()))
        # Multiplied by an odd number, 64 bits are shuffled: each seed of the mix draws others.
        ranks = (hashes ^ key) * np.uint64(0x9E3779B97F4A7C15)
        drawn = np.zeros(len(hashes), bool)
        drawn[np.argpartition(ranks, self._count - 1)[: self._count]] = True
        return drawn

    @property
    def name(self) -> str:
        """The source, and how many of its seeds by which draw."""
        return f"{self._label}: {self._count} of {len(self._source)}, {self._source.name}, seed {self._seed}"

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Seed]:
        if self._drawn is None:
            seeds = iter(self._source)
        else:
            seeds = (seed for seed, drawn in zip(self._source, self._drawn.tolist(), strict=True) if drawn)
        return (replace(seed, id=f"{self._label}/{seed.id}") for seed in seeds)

    @property
    def rejected(self) -> Counter[str]:
        """What the source left out, by reason."""
        return Counter(self._source.rejected if isinstance(self._source, Sifting) else {})

    def rejects(self) -> Iterator[Reject]:
        """What the source left out."""
        if isinstance(self._source, Sifting):
            for reject in self._source.rejects():
                yield replace(reject, id=f"{self._label}/{reject.id}")


class Mix:
    """The seeds of all parts, one part after the other."""

    def __init__(self, parts: list[Part]) -> None:
        self._parts = parts

    @property
    def name(self) -> str:
        """A checksum of the parts' names."""
        return f"mix {xxhash.xxh3_128_hexdigest('; '.join(part.name for part in self._parts).encode())}"

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[Seed]:
        for part in self._parts:
            yield from part

    @property
    def rejected(self) -> Counter[str]:
        """What the parts left out, by reason."""
        return sum((part.rejected for part in self._parts), Counter[str]())

    def rejects(self) -> Iterator[Reject]:
        """What the parts left out."""
        for part in self._parts:
            yield from part.rejects()
