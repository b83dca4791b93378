"""What encoders have in common whose checkpoint holds both halves of one model of transformers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from unicorn.encoder.checkpoint import Checkpoint, Dtype, fetch_configuration, identity
from unicorn.encoder.tower import ImageTower, TextTower


@dataclass(frozen=True, kw_only=True)
class Half:
    """How a half is run: length of its vectors, type of its weights, device, and how much it takes at a time."""

    dimension: int
    dtype: str
    device: str
    per_batch: int
    """Tokens or images."""


@dataclass(kw_only=True)
class HalvesSettings(ABC):
    """Which checkpoint, and how it is run."""

    checkpoint: str
    """A folder, or a name on the Hub."""
    revision: str
    dimension: int
    dtype: Dtype = Dtype.float32
    device: str = "auto"
    tokens_per_batch: int = 16_384
    images_per_batch: int = 64

    encoder: ClassVar[str]
    """Its name in conf/encoder/."""
    kinds: ClassVar[tuple[str, ...]]
    """What its checkpoints call themselves."""

    @property
    def space(self) -> str:
        """Name of the shared space: the checkpoint."""
        return f"{self.encoder}:{identity(self.checkpoint, self.revision)}"

    @property
    def made_by(self) -> dict[str, Any]:
        """All that text vectors depend on beside the space."""
        return {"dimension": self.dimension, "dtype": self.dtype.value}

    def image_checkpoints(self) -> dict[str, Checkpoint]:
        """The checkpoint, with both halves."""
        return {"checkpoint": Checkpoint(self.checkpoint, self.revision)}

    def require(self) -> None:
        """Raise UserError, in a line, unless there is such a checkpoint, of this kind and dimension."""
        from unicorn.encoder.pretrained import check_dimension, read_config

        folder = fetch_configuration(self.checkpoint, self.revision)
        check_dimension(folder, self.dimension_of(read_config(folder, *self.kinds)), self.dimension)

    @abstractmethod
    def dimension_of(self, config: Any) -> int:
        """Length of the vectors of a checkpoint of that configuration."""
        ...

    @abstractmethod
    def text_tower(self) -> TextTower:
        """Load the text half. Raises UserError, in a line, where it cannot be."""
        ...

    @abstractmethod
    def image_tower(self) -> ImageTower:
        """Load the image half. Raises UserError, in a line, where it cannot be."""
        ...

    def _half(self, per_batch: int) -> Half:
        return Half(dimension=self.dimension, dtype=self.dtype.value, device=self.device, per_batch=per_batch)
