"""The seam of the encoders: two towers, loaded apart, whose unit vectors live in one named space."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from jaxtyping import Float

from unicorn.encoder.checkpoint import Checkpoint

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


class TextTower(Protocol):
    """Encodes captions. A vector depends on its own text alone, and its neighbours in a batch only round it otherwise.

    By 1 - cos of 1e-6 at most in float32, and of 1e-3 in bfloat16: a batch's shape is that of its longest text, and
    another shape sums in another order.
    """

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

    @property
    def made_by(self) -> dict[str, Any]:
        """All that text vectors depend on beside the space, in plain values: those of others are not mixed in."""
        ...

    def require(self) -> None:
        """Raise UserError, in a line, where the text tower is not to be had: asked before hours of work for it.

        Weights are not looked at.
        """
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
