"""How soon a run that goes on asks for the first caption that is not there yet."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import orjson

from bench.mock_server import caption
from bench.synthesis_pace import CountedSeeds, seed
from unicorn.dataset import DatasetWriter
from unicorn.dataset.manifest import Manifest, Part
from unicorn.llm import Request, Result
from unicorn.seeds.files import FilesSettings
from unicorn.synthesis.captions import write_captions
from unicorn.synthesis.deduplication import BANDS, Deduplication, signatures_name
from unicorn.synthesis.settings import Duplicates, SynthesisSettings


class NewRequest(Exception):  # noqa: N818  # it is what is waited for
    """The first request beyond the finished blocks."""


class Instant:
    """A generator that answers the first `answers` seeds at once, and at the next raises NewRequest."""

    name = "instant"
    health = ""

    def __init__(self, answers: int) -> None:
        self.made_by = dict[str, Any]()
        self._last = seed(answers).id

    def cost(self, prompt_tokens: int, completion_tokens: int) -> None:
        """It is free."""

    def generate(self, requests: Iterable[Request]) -> Iterator[Result]:
        """In their order."""
        for request in requests:
            if request.id >= self._last:
                raise NewRequest
            yield Result(id=request.id, text=caption(request.messages[-1].content))

    def close(self) -> None:
        """It holds nothing."""


def finish(folder: Path, blocks: int, block_size: int) -> None:
    """A dataset of so many finished blocks of captions, with seeds for one more in a file.

    The first block is made by the stage; the others are written as it writes them, with signatures drawn at random.
    """
    with (folder / "seeds.jsonl").open("wb") as file:
        for made in CountedSeeds(count=(blocks + 1) * block_size):
            file.write(orjson.dumps({"id": made.id, "text": made.text}, option=orjson.OPT_APPEND_NEWLINE))
    go_on(folder, block_size)
    draw = np.random.default_rng(0)
    with DatasetWriter(folder / "data", block_size) as writer:
        part = writer.captions(Manifest.load(folder / "data").parts[Part.CAPTIONS].made_by)
        first = part.read(0)
        for block in range(1, blocks):
            seeds = map(seed, range(block * block_size, (block + 1) * block_size))
            part.write(block, [replace(made, id=each.id) for made, each in zip(first, seeds, strict=True)])
            signatures = draw.integers(0, 2**63, (block_size, 1 + BANDS), dtype=np.uint64)
            name = signatures_name(block, part.checksum_of(block), near=True)
            np.save(folder / "data" / "signatures" / name, signatures)


def go_on(folder: Path, block_size: int, answers: int | None = None) -> None:
    """Stage 1, from where it was to the first request that it has not made."""
    seeds = FilesSettings(path=str(folder / "seeds.jsonl")).build()
    with DatasetWriter(folder / "data", block_size) as writer, suppress(NewRequest):
        generator = Instant(block_size if answers is None else answers)
        write_captions(writer, seeds, generator, SynthesisSettings(), 0)


def resume(folder: Path, block_size: int) -> tuple[float, float]:
    """Seconds until the first new request, and then until the signatures of the finished captions are there."""
    began = perf_counter()
    go_on(folder, block_size, answers=0)
    asked = perf_counter() - began
    with DatasetWriter(folder / "data", block_size) as writer:
        part = writer.captions(Manifest.load(folder / "data").parts[Part.CAPTIONS].made_by)
        began = perf_counter()
        Deduplication(part, writer.folder, Duplicates.near).verdicts([])
    return asked, perf_counter() - began
