"""The seam between an evaluation and where its pictures come from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A real image, with its caption where there is one."""

    id: str
    image: "Image"
    caption: str = ""
    domain: str = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A picture that cannot be had, and why."""

    id: str
    reason: str


class Pictures(Protocol):
    """A source of real images."""

    def pictures(self) -> Iterable[Picture]:
        """Every picture once, in the same order each time; loaded as they are asked for."""
        ...


@runtime_checkable
class Sifting(Protocol):
    """A source that leaves pictures out, and says which."""

    @property
    def rejections(self) -> Sequence[Rejection]:
        """What the last pass over the pictures left out."""
        ...


class PicturesSettings(Protocol):
    """What a file of conf/pictures/ names."""

    def build(self) -> Pictures:
        """The source. Raises UserError if there is none to be read."""
        ...
