"""Seeds of the embedded world: a sparse caption each of as many scenes as one likes."""

from collections.abc import Iterator
from dataclasses import dataclass

from unicorn.records import Seed
from unicorn.scenes.graph import keyed_random, sample_scene
from unicorn.scenes.language import seed_caption
from unicorn.scenes.reader import read


@dataclass(kw_only=True)
class SceneSeedsSettings:
    """`count` scenes, the first ones of the sequence that `seed` names."""

    count: int = 10_000
    seed: int = 0

    def build(self) -> "SceneSeeds":
        """Open the source; nothing is read."""
        return SceneSeeds(self.count, self.seed)


class SceneSeeds:
    """The n-th seed is a function of `seed` and n. A caption that does not tell its domain is open-domain."""

    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self._seed = seed

    @property
    def name(self) -> str:
        """The sequence, and how much of it."""
        return f"scenes seed={self._seed} count={self._count}"

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Seed]:
        for number in range(self._count):
            identity = f"scenes-{self._seed}-{number:06d}"
            rng = keyed_random("seed", identity)
            text = seed_caption(sample_scene(rng), rng)
            yield Seed(id=identity, text=text, source="scenes", domain=read(text).domain or "open")
