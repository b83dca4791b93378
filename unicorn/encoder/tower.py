"""The seam of the encoders: two towers, loaded apart, whose unit vectors live in one named space."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from jaxtyping import Float

from unicorn.encoder.checkpoint import Checkpoint

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


class TextTower(Protocol):
    """Encodes captions. A vector depends on its own text alone, never on its neighbours in a batch."""

    @property
    def context(self) -> int:
        """Tokens that are read of a text."""
        ...

    @property
    def cut(self) -> int:
        """Texts encoded so far that have more tokens than that, and were cut."""
        ...

    def encode(self, texts: Sequence[str]) -> 'Float[Tensor, "n d"]':
        """Unit-norm float32 vectors on the CPU, row by row those of `texts`."""
        ...


class ImageTower(Protocol):
    """Encodes pictures into the same space."""

    def encode(self, images: "Sequence[Image]") -> 'Float[Tensor, "n d"]':
        """Unit-norm float32 vectors on the CPU, row by row those of `images`."""
        ...


class EncoderSettings(Protocol):
    """What a file of conf/encoder/ names."""

    @property
    def space(self) -> str:
        """Name of the shared space: weights, revision and preprocessing. Vectors of two names never mix."""
        ...

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        ...

    def text_tower(self) -> TextTower:
        """Load the text tower, and nothing of the image tower."""
        ...

    def image_tower(self) -> ImageTower:
        """Load the image tower, and nothing of the text tower."""
        ...


@runtime_checkable
class FromCheckpoints(Protocol):
    """Settings of an encoder whose image tower is read from checkpoints, which can so travel with a model."""

    def image_checkpoints(self) -> dict[str, Checkpoint]:
        """They, by the setting that names each, which may also name a folder that holds its `files`."""
        ...
