"""The manifest: what a dataset's folder holds, what made it, and the checksum of every file of it.

A manifest carries a checksum of itself, so that one that reads at all can be believed. Nothing in it depends
on the clock, on where the folder lies, or on the order in which blocks were finished.
"""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from unicorn.config import KIND
from unicorn.errors import UserError
from unicorn.stamp import Stamp, damaged, read_sealed, write_sealed

SCHEMA_VERSION = 1


class Part(StrEnum):
    """The parts of a dataset, in the order in which they are made; each is a folder of shards."""

    CAPTIONS = "captions"
    INSTRUCTIONS = "instructions"
    EMBEDDINGS = "embeddings"

    def shard(self, folder: Path, block: int) -> Path:
        """Where the shard of a block lies in a dataset's folder."""
        suffix = "arrow" if self is Part.EMBEDDINGS else "parquet"
        return folder / self / f"{self}-{block:05d}.{suffix}"


@dataclass(slots=True, kw_only=True)
class Asked:
    """What a generator has answered, in answers and in its tokens."""

    answers: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "Asked") -> "Asked":
        return Asked(
            answers=self.answers + other.answers,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
        )


@dataclass(slots=True, kw_only=True)
class Shard:
    """One block of one part: how many records it holds, how many were rejected, by reason, and its file.

    `upstream` is the checksum of the captions' shard that it was made from; None for captions. `asked` is what a
    generator has answered for it, good or bad.
    """

    rows: int
    rejected: dict[str, int]
    upstream: str | None
    stamp: Stamp
    asked: Asked = field(default_factory=Asked)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The shard of its plain values."""
        return cls(
            rows=values["rows"],
            rejected=values["rejected"],
            upstream=values["upstream"],
            stamp=Stamp(**values["stamp"]),
            asked=Asked(**values.get("asked", {})),  # which older manifests lack
        )


@dataclass(slots=True, kw_only=True)
class PartManifest:
    """What made a part, the package versions it was begun with, its shards by block, and its other files."""

    made_by: dict[str, Any]
    packages: dict[str, str]
    shards: dict[int, Shard] = field(default_factory=dict[int, Shard])
    files: dict[str, Stamp] = field(default_factory=dict[str, Stamp])
    complete: bool = False

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The part of its plain values."""
        shards = {int(block): shard for block, shard in values["shards"].items()}
        return cls(
            made_by=values["made_by"],
            packages=values["packages"],
            shards={block: Shard.from_dict(shards[block]) for block in sorted(shards)},
            files={name: Stamp(**stamp) for name, stamp in values["files"].items()},
            complete=values["complete"],
        )

    @property
    def rows(self) -> int:
        """Records in all shards."""
        return sum(shard.rows for shard in self.shards.values())


@dataclass(slots=True, kw_only=True)
class Manifest:
    """`manifest.json` of a dataset's folder. Block i of every part comes from the i-th `block_size` seeds."""

    block_size: int
    parts: dict[Part, PartManifest] = field(default_factory=dict[Part, PartManifest])

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The manifest of a dataset's folder.

        Raises FileNotFoundError if there is none, and UserError, naming the file, if it is corrupt.
        """
        path = folder / "manifest.json"
        values = read_sealed(path, remedy(path))
        if (version := values["schema_version"]) != SCHEMA_VERSION:
            raise UserError(f"{path} is of schema version {version}, and this Unicorn reads {SCHEMA_VERSION}.")
        return cls(
            block_size=values["block_size"],
            parts={Part(name): PartManifest.from_dict(part) for name, part in values["parts"].items()},
        )

    @classmethod
    def of_dataset(cls, folder: Path) -> Self:
        """As `load`; raises UserError, naming the folder, if there is no dataset."""
        try:
            return cls.load(folder)
        except FileNotFoundError:
            raise UserError(f"no dataset at {folder}: run `python synthesize.py dataset={folder}` first.") from None

    def save(self, folder: Path) -> None:
        """Replace the `manifest.json` of a dataset's folder."""
        write_sealed(folder / "manifest.json", {"schema_version": SCHEMA_VERSION} | asdict(self))

    def require_complete(self, folder: Path, part: Part) -> None:
        """Raises UserError if a part is missing, or was begun and not finished."""
        if part not in self.parts or not self.parts[part].complete:
            state = "unfinished" if part in self.parts else "missing"
            raise UserError(
                f"the {part} of {folder} are {state}: run `python synthesize.py dataset={folder}` to make them."
            )

    def check(self, folder: Path, part: Part, checksums: bool) -> None:
        """Check that the files of a part are there, of their size, and made from the captions that are there.

        With `checksums`, also that every byte is the one written. Raises UserError, naming the file.
        """
        entry = self.parts[part]
        stamps = {folder / part / name: stamp for name, stamp in entry.files.items()}
        for block, shard in entry.shards.items():
            path = part.shard(folder, block)
            stamps[path] = shard.stamp
            if shard.upstream != self.upstream(part, block):
                raise damaged(path, "was made from other captions", remedy(path))
        for path, stamp in stamps.items():
            stamp.check_size(path, remedy(path))
        for path, stamp in stamps.items() if checksums else ():
            stamp.check(path, remedy(path))

    def upstream(self, part: Part, block: int) -> str | None:
        """Checksum of the captions that a block of a part is made from; None for the captions themselves."""
        captions = self.parts.get(Part.CAPTIONS)
        if part is Part.CAPTIONS or captions is None or block not in captions.shards:
            return None
        return captions.shards[block].stamp.xxh3_128


def remedy(path: Path) -> str:
    """What to do about a damaged file of a dataset."""
    return f"Restore it from a copy, or delete {path.parent} and synthesize it again."


def differences(before: Any, now: Any, key: str = "") -> list[str]:
    """The dotted keys at which two nested plain values differ, each with both values."""
    if isinstance(before, dict) and isinstance(now, dict):
        kinds = [str(settings.get(KIND, "")) for settings in (before, now)]
        if kinds[0] != kinds[1]:  # settings of two classes, which have no more to compare; their modules tell which
            before, now = (kind.rpartition(".")[0].rpartition(".")[2] for kind in kinds)
            return [f"{key} was {before!r} and is {now!r}"]
        return [
            line
            for name in sorted(before.keys() | now.keys())
            for line in differences(before.get(name), now.get(name), f"{key}.{name}".lstrip("."))
        ]
    return [] if before == now else [f"{key} was {before!r} and is {now!r}"]
