"""The checkpoint files of a stage: written whole or not at all, the newest found again, read without running code."""

import logging
import zipfile
from errno import EINVAL
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins import TorchCheckpointIO

from unicorn.errors import UserError, in_a_line
from unicorn.files import replacing

_log = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints whose bytes are on the disk before their name is, and in memory only as they are asked for."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write through a temporary file. Raises UserError, naming `path`, on a full disk."""
        with replacing(Path(path)) as temporary:
            try:
                with temporary.open("wb") as file:
                    torch.save(checkpoint, file)
            except RuntimeError as error:  # with which torch covers what the system said
                raise (error.__context__ or error) from None

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Map the file: the ranks of a machine share its pages."""
        return _mapped(Path(path))


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a folder, oldest first."""
    return sorted(folder.glob("step-*.ckpt"))


def newest(folder: Path) -> Path | None:
    """The newest checkpoint that is whole, if there is one; one that is damaged is passed over, with a word.

    Raises UserError, naming the file, where the system cannot read it: that does not make it a damaged one.
    """
    for path in reversed(checkpoints(folder)):
        if _is_whole(path):
            return path
        _log.warning("%s is damaged and left out: the training goes on from an earlier step.", path)
    return None


def _mapped(path: Path) -> dict[str, Any]:
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def _is_whole(path: Path) -> bool:
    """Whether torch can make sense of the file and its checksums hold, which torch writes and does not compare."""
    try:
        _mapped(path)  # it reads no tensor
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except OSError as error:
        if error.errno == EINVAL:  # it says that it goes on where no file can
            return False
        raise UserError(
            f"{path} cannot be read: {in_a_line(error)}. See to the disk, and run the same command again."
        ) from error
    except MemoryError:
        raise
    except Exception:  # both have many words for it: RuntimeError, UnpicklingError, BadZipFile, EOFError, ...
        return False
