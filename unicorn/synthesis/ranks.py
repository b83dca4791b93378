"""Several processes encode one dataset, each its share of the blocks; they need nothing in common but its folder."""

import os
from dataclasses import dataclass

from unicorn.dataset import Part
from unicorn.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Which process it is of those that torchrun, or another launcher that sets RANK and WORLD_SIZE, has started."""

    rank: int = 0
    world_size: int = 1

    @classmethod
    def of_environment(cls) -> "Ranks":
        """What the launcher said; without one, the only process."""
        return cls(rank=int(os.environ.get("RANK", "0")), world_size=int(os.environ.get("WORLD_SIZE", "1")))

    def owner(self, block: int) -> int:
        """The rank of whose share the block is."""
        return block % self.world_size

    def mine(self, block: int) -> bool:
        """Whether the block is of this process's share."""
        return self.owner(block) == self.rank

    def require_embeddings_alone(self, stages: list[str]) -> None:
        """Raises UserError if there are several processes and stages that only one can run."""
        if self.world_size > 1 and stages != [Part.EMBEDDINGS]:
            raise UserError(
                f"{self.world_size} processes can only encode: run the other stages in one, without a launcher, and "
                "then this with stages=[embeddings]."
            )
