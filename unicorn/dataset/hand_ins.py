"""Blocks of vectors on their way from the processes that encode them to the one that writes the dataset.

A block is handed in as a file, whose name says what it was made from and by. One that is left of a run that was killed
is taken by the next; one that fits no more is never asked for, and deleted at the end. Beside them lies a file of each
process, touched at every batch, and with the reason in it where the process has failed.
"""

import logging
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import xxhash

from unicorn.dataset.manifest import Manifest, Part
from unicorn.dataset.shards import Embeddings, map_embeddings, save_embeddings
from unicorn.errors import UserError, in_a_line
from unicorn.files import replacing

POLL_SECONDS = 0.5

GRACE_SECONDS = 60.0
"""In which a process that is started again takes back that it has failed."""

PATIENCE_SECONDS = 3600.0
"""With no sign of life: time to fetch and load a tower, or for a batch."""

AGAIN = "Start all processes again: what is encoded is kept."

_log = logging.getLogger(__name__)


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

    @contextmanager
    def working(self, rank: int) -> Generator[Callable[[int], None]]:
        """What a process calls at every batch of its blocks while it works; that it fails is left for the first."""
        path = self._life(rank)
        with replacing(path) as temporary:
            temporary.touch()
        try:
            yield lambda _: path.touch()
        except BaseException as error:
            with suppress(OSError):  # of a full disk, which it may have failed of
                path.write_text(in_a_line(error))
            raise

    def take(self, block: int, rank: int) -> Embeddings:
        """A block, as soon as its rank has handed it in; its file stays until `clear`.

        Raises UserError, naming the rank, if it has failed, or given no sign of life for PATIENCE_SECONDS.
        """
        began = moved = time.monotonic()
        last = None
        while not self.there(block):
            if last is None:
                _log.info("waiting for block %d, which is rank %d's", block, rank)
            seen, failure = self._sign(rank)
            now = time.monotonic()
            last, moved = (last, moved) if seen == last else (seen, now)
            if failure and now - began > GRACE_SECONDS:
                raise UserError(f"rank {rank}, whose block {block} is, has failed: {failure}. {AGAIN}")
            if now - moved > PATIENCE_SECONDS:
                raise UserError(
                    f"rank {rank}, whose block {block} is, has given no sign of life for "
                    f"{PATIENCE_SECONDS / 60:.0f} minutes. {AGAIN}"
                )
            time.sleep(POLL_SECONDS)
        ids, vectors = map_embeddings(self._path(block))
        return Embeddings(ids=ids.to_pylist(), vectors=vectors)

    def _life(self, rank: int) -> Path:
        return self._folder / f"rank-{rank}"

    def _sign(self, rank: int) -> tuple[int, str]:
        """When a process last gave a sign of life, by the clock of the disk (0 if never), and why it failed."""
        path = self._life(rank)
        return (path.stat().st_mtime_ns, path.read_text()) if path.exists() else (0, "")

    def clear(self) -> None:
        """Delete what was handed in."""
        shutil.rmtree(self._folder, ignore_errors=True)
