"""One part of a dataset while it is written: block by block, each whole or not there."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence, Sized
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import orjson

from unicorn.dataset.card import save_card
from unicorn.dataset.journal import Journal
from unicorn.dataset.manifest import Asked, Manifest, Part, PartManifest, Shard, differences, remedy
from unicorn.errors import UserError
from unicorn.files import replacing
from unicorn.records import Reject
from unicorn.stamp import Stamp

Content = TypeVar("Content", bound=Sized)

NOTHING_ASKED = Asked()

# Recorded for the reader of a manifest; what must not change while a part is made goes into `made_by`.
PACKAGES = ("unicorn-vlm", "datasets", "numpy", "pyarrow", "torch", "transformers")


class PartWriter(ABC, Generic[Content]):
    """The shards of one part, whose blocks each hold a `Content`.

    A part remembers what made it, and each shard the captions that it was made from; what does not fit is
    refused, never mixed in. A part whose folder was deleted is made again from nothing.
    """

    part: ClassVar[Part]

    def __init__(self, dataset: Path, manifest: Manifest, made_by: dict[str, Any]) -> None:
        """Raises UserError if the part was made by something else, or its files are not as they were."""
        self._dataset = dataset
        self._folder = dataset / self.part
        self._manifest = manifest
        if not self._folder.exists():
            self._forget()
        made_by = orjson.loads(orjson.dumps(made_by))
        self._entry = manifest.parts.get(self.part) or PartManifest(
            made_by=made_by, packages={package: version(package) for package in PACKAGES}
        )
        if changed := differences(self._entry.made_by, made_by):
            raise self._refusal(f"were made otherwise ({'; '.join(changed)})")
        if self.part in manifest.parts:
            manifest.check(dataset, self.part, checksums=False)
        for block in self.blocks:
            self._journal_path(block).unlink(missing_ok=True)

    def _forget(self) -> None:
        self._manifest.parts.pop(self.part, None)
        for path in (self._dataset / "rejects").glob(f"{self.part}-*.jsonl"):
            path.unlink()

    def _refusal(self, what: str) -> UserError:
        return UserError(
            f"the {self.part} of {self._dataset} {what}. Choose another dataset=, "
            f"or delete {self._folder} to have them made again."
        )

    @property
    def blocks(self) -> list[int]:
        """The finished blocks."""
        return sorted(self._entry.shards)

    @property
    def rows(self) -> int:
        """Records in all finished blocks."""
        return self._entry.rows

    def checksum_of(self, block: int) -> str:
        """That of a finished block's shard."""
        return self._entry.shards[block].stamp.xxh3_128

    def rows_of(self, block: int) -> int:
        """Records in a finished block."""
        return self._entry.shards[block].rows

    @property
    def rejected(self) -> Counter[str]:
        """Rejects of all finished blocks, counted by reason."""
        counts = Counter[str]()
        for shard in self._entry.shards.values():
            counts.update(shard.rejected)
        return counts

    @property
    def asked(self) -> Asked:
        """What a generator has answered for all finished blocks."""
        return sum((shard.asked for shard in self._entry.shards.values()), NOTHING_ASKED)

    def finished(self, block: int) -> bool:
        """Whether the block is written."""
        return block in self._entry.shards

    def journal(self, block: int) -> Journal:
        """The journal of an unfinished block, with what a run that was killed left in it."""
        self._begin()
        return Journal(self._journal_path(block))

    def _journal_path(self, block: int) -> Path:
        return self._folder / f"{self.part}-{block:05d}.journal.jsonl"

    def _begin(self) -> None:
        """Write what makes this part into the manifest, before the first of its files."""
        if self._entry.complete:
            raise self._refusal("are complete, and there is now more to make them from")
        if self.part not in self._manifest.parts:
            self._manifest.parts[self.part] = self._entry
            self._manifest.save(self._dataset)

    def write(self, block: int, content: Content, rejects: Sequence[Reject] = (), asked: Asked = NOTHING_ASKED) -> None:
        """Write a block: its rejects, its shard, the manifest; then its journal goes.

        Killed anywhere in between, it is as if nothing had been written. Raises UserError where the system
        refuses (a full disk).
        """
        self._begin()
        path = self.part.shard(self._dataset, block)
        told = self._dataset / "rejects" / f"{path.stem}.jsonl"
        if rejects:
            lines = [orjson.dumps(asdict(reject), option=orjson.OPT_APPEND_NEWLINE) for reject in rejects]
            with replacing(told) as temporary:
                temporary.write_bytes(b"".join(lines))
        else:
            told.unlink(missing_ok=True)  # of a run that ended before it could write the shard
        with replacing(path) as temporary:
            self._save(temporary, content)
        self._entry.shards[block] = Shard(
            rows=len(content),
            rejected=dict(Counter(reject.reason for reject in rejects)),
            upstream=self._manifest.upstream(self.part, block),
            stamp=Stamp.of(path),
            asked=asked,
        )
        self._manifest.save(self._dataset)
        self._journal_path(block).unlink(missing_ok=True)

    def read(self, block: int) -> Content:
        """What a finished block holds. Raises UserError, naming the file, if it is not as it was written."""
        path = self.part.shard(self._dataset, block)
        self._entry.shards[block].stamp.check(path, remedy(path))
        return self._load(path)

    def complete(self, blocks: int) -> None:
        """Declare that `blocks` blocks, all finished, are the whole part.

        Raises UserError if there are more of them: the part was made from more than there is now.
        """
        if len(self._entry.shards) != blocks:
            raise self._refusal(f"hold {len(self._entry.shards)} blocks, and {blocks} are expected now")
        self._entry.complete = True
        self._manifest.save(self._dataset)
        save_card(self._dataset, self._manifest)

    @abstractmethod
    def _save(self, path: Path, content: Content) -> None: ...

    @abstractmethod
    def _load(self, path: Path) -> Content: ...
