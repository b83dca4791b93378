"""Checkpoints of towers: a folder, or a name on the Hub at a revision; safetensors only."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import xxhash

from unicorn.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

# Weights, and what configures them; pickled weights are not fetched.
FILES = ("*.json", "*.safetensors", "*.txt", "*.model")

# Of every tensor: training changes all of one, and reading all of 16 GB to tell two models apart takes minutes.
FINGERPRINT_BYTES = 4096


class Dtype(StrEnum):
    """The type of a tower's weights."""

    bfloat16 = "bfloat16"
    float32 = "float32"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder, or a name on the Hub with its revision; and which files of it are read."""

    name: str
    revision: str
    files: tuple[str, ...] = FILES


def fetch(name: str, revision: str) -> Path:
    """The folder of a checkpoint: `name` itself if it is one, else a copy of the Hub's at `revision`.

    Raises UserError if the Hub has none of that name or revision, does not let it be read, or is out of reach.
    """
    if (folder := Path(name).expanduser()).is_dir():
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(FILES)))
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
            f"cannot fetch {name} at {revision}: {str(error).splitlines()[0]} Connect to the Hub, or name a folder."
        ) from error


def identity(name: str, revision: str) -> str:
    """What tells a checkpoint from any other: name and revision on the Hub, or a digest of what a folder holds.

    The digest is of all small files, and of the names, shapes and first bytes of all tensors; a folder may be moved.
    Raises UserError, naming the file, if weights cannot be read.
    """
    if not (folder := Path(name).expanduser()).is_dir():
        return f"{name}@{revision[:12]}"
    digest = xxhash.xxh3_128()
    for path in sorted({path for pattern in FILES for path in folder.glob(pattern)}):
        digest.update(path.name.encode())
        if path.suffix == ".safetensors":
            _digest_tensors(path, digest)
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
    return UserError(f"{path} is torn, or no file of weights: {error}. Fetch it again.")


def read_weights(folder: Path, prefix: str) -> "dict[str, Tensor]":
    """The tensors whose names start with `prefix`, by the rest of their names; others are not read.

    Raises UserError, naming the folder, if there are none, or a file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    weights: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as file:
                names: Iterable[str] = file.keys()
                chosen = [name for name in names if name.startswith(prefix)]
                weights |= {name.removeprefix(prefix): file.get_tensor(name) for name in chosen}
        except SafetensorError as error:
            raise torn(path, error) from error
    if not weights:
        raise UserError(f"{folder} holds no weights under {prefix}* in safetensors. Name another checkpoint.")
    return weights
