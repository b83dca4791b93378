"""Writing a dataset: one process at a time, part after part, resumable at any instant."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from jaxtyping import Float16

from unicorn.dataset.hand_ins import HandIns
from unicorn.dataset.manifest import Asked, Manifest, Part
from unicorn.dataset.part import NOTHING_ASKED, PartWriter
from unicorn.dataset.shards import (
    Embeddings,
    iterate_captions,
    iterate_instructions,
    map_embeddings,
    read_column,
    save_captions,
    save_embeddings,
    save_instructions,
)
from unicorn.dataset.split import is_training
from unicorn.errors import UserError
from unicorn.files import lock_folder
from unicorn.records import Caption, Instruction, Reject
from unicorn.stamp import Stamp
from unicorn.transfer.statistics import Statistics


class CaptionWriter(PartWriter[Sequence[Caption]]):
    """The captions; block i holds those of the i-th block of seeds, in the order of the seeds."""

    part = Part.CAPTIONS

    def _save(self, path: Path, content: Sequence[Caption]) -> None:
        save_captions(path, content)

    def _load(self, path: Path) -> Sequence[Caption]:
        return list(iterate_captions(path))


class InstructionWriter(PartWriter[Sequence[Instruction]]):
    """The instructions; block i holds those of the captions of block i, in the order of the captions."""

    part = Part.INSTRUCTIONS

    def _save(self, path: Path, content: Sequence[Instruction]) -> None:
        save_instructions(path, content)

    def _load(self, path: Path) -> Sequence[Instruction]:
        return list(iterate_instructions(path))


class EmbeddingWriter(PartWriter[Embeddings]):
    """The raw vectors of the captions; block i is row-aligned with the captions of block i."""

    part = Part.EMBEDDINGS

    def __init__(self, dataset: Path, manifest: Manifest, space: str, made_by: dict[str, Any]) -> None:
        super().__init__(dataset, manifest, {"space": space} | made_by)
        self._space = space

    def write(
        self, block: int, content: Embeddings, rejects: Sequence[Reject] = (), asked: Asked = NOTHING_ASKED
    ) -> None:
        """As for any part. Raises UserError if the vectors are not, row by row, those of the captions."""
        captions = Part.CAPTIONS.shard(self._dataset, block)
        if read_column(captions, "id").to_pylist() != list(content.ids):
            raise UserError(f"the vectors for block {block} are not, row by row, those of the captions in {captions}.")
        super().write(block, content, rejects, asked)

    def complete(self, blocks: int) -> None:
        """As for any part; first the statistics of the training captions are taken and written."""
        if not self._entry.files:
            Statistics.from_chunks(self._space, self._training_chunks()).save(self._folder)
            for name in ("statistics.json", "statistics.safetensors"):
                self._entry.files[name] = Stamp.of(self._folder / name)
        super().complete(blocks)

    def _training_chunks(self) -> Iterator[tuple[Float16[np.ndarray, "n d"], list[str]]]:
        for block in self.blocks:
            ids, vectors = map_embeddings(Part.EMBEDDINGS.shard(self._dataset, block))
            domains = read_column(Part.CAPTIONS.shard(self._dataset, block), "domain").to_pylist()
            rows = np.flatnonzero([is_training(name) for name in ids.to_pylist()])
            if len(rows):
                yield vectors[rows], [domains[row] for row in rows]

    def _save(self, path: Path, content: Embeddings) -> None:
        save_embeddings(path, content)

    def _load(self, path: Path) -> Embeddings:
        ids, vectors = map_embeddings(path)
        return Embeddings(ids=ids.to_pylist(), vectors=vectors)


class DatasetWriter:
    """Holds a dataset's folder for writing, as a context manager; each part is asked for by its method.

    Every file is written under a temporary name, synced and renamed, and the manifest after it, so that
    a kill at any instant leaves a dataset to go on from.
    """

    def __init__(self, folder: Path | str, block_size: int = 16384) -> None:
        self.folder = Path(folder)
        self.block_size = block_size

    def __enter__(self) -> Self:
        """Take the lock. Raises UserError if another process has it, or the block size differs."""
        self._lock = lock_folder(self.folder, "dataset")
        try:
            self._manifest = self._read_manifest()
        except UserError:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()

    def _read_manifest(self) -> Manifest:
        try:
            manifest = Manifest.load(self.folder)
        except FileNotFoundError:
            if orphans := [part for part in Part if (self.folder / part).exists()]:
                raise UserError(
                    f"{self.folder} holds {', '.join(orphans)} and no manifest.json. "
                    "Restore it from a copy, or choose another dataset=."
                ) from None
            return Manifest(block_size=self.block_size)
        if manifest.block_size != self.block_size:
            raise UserError(
                f"{self.folder} is made of blocks of {manifest.block_size} seeds, not {self.block_size}. "
                f"Set synthesis.block_size={manifest.block_size}, or choose another dataset=."
            )
        return manifest

    def captions(self, made_by: dict[str, Any]) -> CaptionWriter:
        """The captions, as made by these plain values (settings, prompt version, generator; nothing secret).

        Raises UserError, naming the keys that differ, if those in the folder were made by others.
        """
        return CaptionWriter(self.folder, self._manifest, made_by)

    def finished_captions(self) -> CaptionWriter:
        """The captions, whatever made them, to be read. Raises UserError if they are not all there."""
        return read_captions(self.folder, self._manifest)

    def instructions(self, made_by: dict[str, Any]) -> InstructionWriter:
        """The instructions; as `captions`."""
        return InstructionWriter(self.folder, self._manifest, made_by)

    def embeddings(self, space: str, made_by: dict[str, Any]) -> EmbeddingWriter:
        """The vectors of one embedding space, raw; as `captions`."""
        return EmbeddingWriter(self.folder, self._manifest, space, made_by)

    def handed_in(self, space: str, made_by: dict[str, Any]) -> HandIns:
        """The blocks of vectors that other processes encode for this one."""
        return HandIns(self.folder, self._manifest, space, made_by)


def read_captions(folder: Path, manifest: Manifest) -> CaptionWriter:
    """The captions of a dataset, whatever made them, to be read. Raises UserError if they are not all there."""
    manifest.require_complete(folder, Part.CAPTIONS)
    return CaptionWriter(folder, manifest, manifest.parts[Part.CAPTIONS].made_by)
