"""What every fitted transfer shares: the space that it was fitted in, and its form on the disk."""

from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors.numpy import load_file, save

from unicorn.errors import UserError
from unicorn.files import replacing
from unicorn.stamp import check_stamps, damaged, read_sealed, stamps_of, write_sealed
from unicorn.transfer.transfer import Transfer


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedTransfer:
    """Base of the transfers: a dataclass of plain values and arrays, which is all there is to save.

    `space` and `normalised` are those of the text vectors, and of the images that may be centred.
    """

    space: str
    normalised: bool

    def save(self, folder: Path) -> None:
        """Write the arrays to `transfer.safetensors`, and the class and the rest, sealed, to `transfer.json`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        kind = f"{type(self).__module__}.{type(self).__qualname__}"
        plain = {"kind": kind} | {name: value for name, value in values.items() if name not in arrays}
        with replacing(folder / "transfer.safetensors") as path:
            path.write_bytes(save(arrays))
        write_sealed(folder / "transfer.json", plain | {"files": stamps_of(folder, ["transfer.safetensors"])})


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
