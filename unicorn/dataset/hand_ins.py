"""Blocks of vectors on their way from the processes that encode them to the one that writes the dataset.

A block is handed in as a file, whose name says what it was made from and by. One that is left of a run that was killed
is taken by the next; one that fits no more is never asked for, and deleted at the end.
"""

import shutil
import time
from pathlib import Path
from typing import Any

import orjson
import xxhash

from unicorn.dataset.manifest import Manifest, Part
from unicorn.dataset.shards import Embeddings, map_embeddings, save_embeddings
from unicorn.files import replacing

POLL_SECONDS = 0.5


class HandIns:
    """The blocks that ranks other than the first have encoded, and the first has not yet taken."""

    def __init__(self, dataset: Path, manifest: Manifest, space: str, made_by: dict[str, Any]) -> None:
        self._folder = dataset / "handed-in"
        self._manifest = manifest
        self._made_by = {"space": space} | made_by

    def _path(self, block: int) -> Path:
        source = [self._made_by, self._manifest.upstream(Part.EMBEDDINGS, block)]
        digest = xxhash.xxh3_64_hexdigest(orjson.dumps(source, option=orjson.OPT_SORT_KEYS))
        return self._folder / f"{block:05d}-{digest}.arrow"

    def there(self, block: int) -> bool:
        """Whether the block is handed in, whole."""
        return self._path(block).is_file()

    def give(self, block: int, content: Embeddings) -> None:
        """Hand a block in."""
        with replacing(self._path(block)) as temporary:
            save_embeddings(temporary, content)

    def take(self, block: int) -> Embeddings:
        """A block, as soon as its rank has handed it in; its file stays until `clear`."""
        while not self.there(block):
            time.sleep(POLL_SECONDS)
        ids, vectors = map_embeddings(self._path(block))
        return Embeddings(ids=ids.to_pylist(), vectors=vectors)

    def clear(self) -> None:
        """Delete what was handed in."""
        shutil.rmtree(self._folder, ignore_errors=True)
