"""Checkpoints of towers: a folder, or a name on the Hub at a revision; of pickled weights no code is run."""

import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from logging import ERROR, getLogger
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile, is_zipfile

import orjson
import xxhash

from unicorn.errors import UserError, in_a_line

if TYPE_CHECKING:
    from torch import Tensor

SAFETENSORS = "*.safetensors"
PICKLED = "pytorch_model*.bin"
"""Weights of before safetensors: used where a checkpoint has no others."""

CONFIGURATION = ("*.json", "*.txt", "*.model")
PREPARATION = ("preprocessor_config.json", "processor_config.json")

# Of every tensor: training changes all of one, and reading all of 16 GB to tell two models apart takes minutes.
FINGERPRINT_BYTES = 4096


class Dtype(StrEnum):
    """The type of a tower's weights."""

    bfloat16 = "bfloat16"
    float32 = "float32"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder, or a name on the Hub with its revision; without `weights`, what says how pictures become pixels."""

    name: str
    revision: str
    weights: bool = True

    def files(self) -> list[Path]:
        """What is read of it, here or fetched. Raises UserError as `fetch` does."""
        if not self.weights:
            folder = fetch_preparation(self.name, self.revision)
            return [folder / name for name in PREPARATION if (folder / name).exists()]
        folder = fetch(self.name, self.revision)
        return sorted({*weight_files(folder), *(path for pattern in CONFIGURATION for path in folder.glob(pattern))})


def fetch(name: str, revision: str) -> Path:
    """The folder of a checkpoint: `name` itself if it is one, else a copy of the Hub's at `revision`.

    Raises UserError if the Hub has none of that name or revision, does not let it be read, or is out of reach.
    """
    if (folder := Path(name).expanduser()).is_dir():
        return folder
    commit = _commit(name, revision)
    folder = _download(name, commit, (*CONFIGURATION, SAFETENSORS))
    return folder if weight_files(folder) else _download(name, commit, (*CONFIGURATION, PICKLED))


def fetch_configuration(name: str, revision: str) -> Path:
    """As `fetch`, config.json alone: whether there is such a checkpoint, and of what kind."""
    folder = Path(name).expanduser()
    return folder if folder.is_dir() else _download(name, _commit(name, revision), ("config.json",))


def fetch_preparation(name: str, revision: str) -> Path:
    """As `fetch`, without weights: what says how pictures become pixels."""
    folder = Path(name).expanduser()
    return folder if folder.is_dir() else _download(name, _commit(name, revision), PREPARATION)


@cache
def _commit(name: str, revision: str) -> str:
    """The commit that a branch or a tag is at; the Hub is asked once."""
    return revision if re.fullmatch("[0-9a-f]{40}", revision) else _download(name, revision, ("config.json",)).name


def _download(name: str, revision: str, files: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    getLogger("huggingface_hub").setLevel(ERROR)  # it would tell of every try, where one line at the end does
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=[*files], ignore_patterns="*/*"))
    except GatedRepoError as error:
        raise UserError(
            f"{name} is gated: ask for access at https://huggingface.co/{name}, and set HF_TOKEN to a token of yours."
        ) from error
    except RevisionNotFoundError as error:
        raise UserError(f"{name} has no revision {revision} on the Hub. Name a commit, a branch or a tag.") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UserError(
            f"no checkpoint {name}: it is no folder here, and the Hub has none that you may read. Mend the name, or "
            "set HF_TOKEN if it is private."
        ) from error
    except (LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"cannot fetch {name} at {revision}: {in_a_line(error)}. Connect to the Hub, or name a folder."
        ) from error


def weight_files(folder: Path) -> list[Path]:
    """The files of a folder's weights: its safetensors, or pickles where it has none."""
    return sorted(folder.glob(SAFETENSORS)) or sorted(folder.glob(PICKLED))


def identity(name: str, revision: str) -> str:
    """What tells a checkpoint from any other: name and commit on the Hub, or a digest of what a folder holds.

    The digest is of all small files, and of the names, shapes and first bytes of all tensors, or of the checksums that
    pickled ones carry; a folder may be moved. Raises UserError as `fetch`, or, naming the file, if weights cannot be
    read.
    """
    if not (folder := Path(name).expanduser()).is_dir():
        return f"{name}@{_commit(name, revision)[:12]}"
    digest = xxhash.xxh3_128()
    small = {path for pattern in CONFIGURATION for path in folder.glob(pattern)}
    for path in sorted({*small, *weight_files(folder)}):
        digest.update(path.name.encode())
        if path.suffix == ".safetensors":
            _digest_tensors(path, digest)
        elif is_zipfile(path):
            with ZipFile(path) as archive:
                digest.update(orjson.dumps([[entry.filename, entry.CRC] for entry in archive.infolist()]))
        else:
            digest.update(path.read_bytes())
    return f"folder-{digest.hexdigest()[:12]}"


def _digest_tensors(path: Path, digest: xxhash.xxh3_128) -> None:
    with path.open("rb") as file:
        try:
            header = file.read(*struct.unpack("<Q", file.read(8)))
            starts = [entry["data_offsets"] for name, entry in orjson.loads(header).items() if name != "__metadata__"]
        except (struct.error, ValueError, OverflowError, MemoryError) as error:
            raise torn(path, error) from error
        digest.update(header)
        for start, end in starts:
            file.seek(8 + len(header) + start)
            digest.update(file.read(min(FINGERPRINT_BYTES, end - start)))


def torn(path: Path, error: Exception) -> UserError:
    """The one line for weights that cannot be read."""
    return UserError(f"{path} is torn, or no file of weights: {in_a_line(error)}. Fetch it again.")


def read_weights(folder: Path, prefix: str) -> "dict[str, Tensor]":
    """The tensors whose names start with `prefix`, by the rest of their names; others are not read.

    Raises UserError, naming the folder, if there are none, or a file cannot be read.
    """
    weights: dict[str, Tensor] = {}
    for path in weight_files(folder):
        read = _read_safetensors if path.suffix == ".safetensors" else _read_pickled
        weights |= read(path, prefix)
    if not weights:
        raise UserError(f"{folder} holds no weights under {prefix}*. Name another checkpoint.")
    return {name.removeprefix(prefix): weight for name, weight in weights.items()}


def _read_safetensors(path: Path, prefix: str) -> "dict[str, Tensor]":
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names: Iterable[str] = file.keys()
            return {name: file.get_tensor(name) for name in names if name.startswith(prefix)}
    except SafetensorError as error:
        raise torn(path, error) from error


def _read_pickled(path: Path, prefix: str) -> "dict[str, Tensor]":
    import torch

    try:
        weights: dict[str, Tensor] = torch.load(path, weights_only=True, mmap=True)
    except Exception as error:  # a pickle is not known by what it raises
        raise torn(path, error) from error
    return {name: weight for name, weight in weights.items() if name.startswith(prefix)}
