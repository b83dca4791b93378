"""What every fitted transfer shares: the space that it was fitted in, and its form on the disk."""

from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from jaxtyping import Float32
from safetensors.numpy import load_file, save

from unicorn.errors import UserError
from unicorn.files import replacing
from unicorn.stamp import check_stamps, damaged, read_sealed, stamps_of, write_sealed
from unicorn.transfer.centring import MeanCentring, NoCentring
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import ImageCentring, ImageMean, Transfer


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedTransfer:
    """Base of the transfers: a dataclass of plain values and arrays, which is all there is to save.

    `space` and `normalised` are those of the text vectors, and of the images that may be centred.
    """

    space: str
    normalised: bool

    @classmethod
    def of(cls, statistics: Statistics, **values: Any) -> Self:
        """The transfer of these text vectors, with what it has besides."""
        return cls(space=statistics.space, normalised=statistics.normalised, **values)

    def image_centring(self, mean: ImageMean | None = None) -> ImageCentring:
        """v: images stay as they are."""
        return NoCentring(self.space, self.normalised, mean)

    def save(self, folder: Path) -> None:
        """Write the arrays to `transfer.safetensors`, and the class and the rest, sealed, to `transfer.json`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        kind = f"{type(self).__module__}.{type(self).__qualname__}"
        plain = {"kind": kind} | {name: value for name, value in values.items() if name not in arrays}
        with replacing(folder / "transfer.safetensors") as path:
            path.write_bytes(save(arrays))
        write_sealed(folder / "transfer.json", plain | {"files": stamps_of(folder, ["transfer.safetensors"])})


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanTransfer(FittedTransfer):
    """Base of those that subtract one mean from text, and one from images."""

    text_mean: Float32[np.ndarray, " d"]

    @classmethod
    def of(cls, statistics: Statistics, **values: Any) -> Self:
        """The transfer about the mean of these text vectors."""
        return super().of(statistics, text_mean=statistics.mean.astype(np.float32), **values)

    def image_centring(self, mean: ImageMean | None = None) -> ImageCentring:
        """n(v - mean(V)), without noise."""
        return MeanCentring(self.space, self.normalised, mean)


def load_transfer(folder: Path) -> Transfer:
    """The transfer that was saved into `folder`. Raises UserError if there is none, or, naming the file, damaged."""
    remedy = "Restore it from a copy, or train again."
    path = folder / "transfer.json"
    try:
        values = read_sealed(path, remedy)
    except FileNotFoundError as error:
        raise UserError(f"no transfer at {folder}: it holds no transfer.json. {remedy}") from error
    check_stamps(folder, values.pop("files"), remedy)
    module, _, name = values.pop("kind").rpartition(".")
    try:
        kind = getattr(import_module(module), name)
        if not issubclass(kind, FittedTransfer):
            raise TypeError(f"{module}.{name} is no transfer")
        return cast("type[Any]", kind)(**values, **load_file(folder / "transfer.safetensors"))
    except (ImportError, ValueError, TypeError, AttributeError) as error:
        # Written by another version of this code, or by a plug-in that is not installed here.
        raise damaged(path, f"cannot be read ({error})", remedy) from error
