"""Stage 1: every sparse seed becomes one dense caption, or, where that is not asked for, is one as it is."""

import time
from collections.abc import Iterator
from itertools import islice
from math import ceil

from unicorn.dataset import DatasetWriter, Part
from unicorn.llm import Generator, Request, Result
from unicorn.records import Caption, Seed
from unicorn.report.progress import progress
from unicorn.seeds import SeedSource
from unicorn.synthesis.deduplication import Deduplication
from unicorn.synthesis.parsing import RULES, read_caption
from unicorn.synthesis.prompt import Prompt
from unicorn.synthesis.request_loop import RequestLoop
from unicorn.synthesis.settings import Duplicates, SynthesisSettings
from unicorn.synthesis.stage import StageReport


def write_captions(
    writer: DatasetWriter, seeds: SeedSource, generator: Generator, settings: SynthesisSettings, seed: int
) -> StageReport:
    """Write the captions of all seeds; what an earlier run has finished is kept. Raises UserError.

    The same seeds, settings and answers make the same bytes, however often the run was killed.
    """
    began = time.monotonic()
    stage = CaptionStage(generator.name, settings)
    densified_by = {
        "generator": generator.name,
        "sampling": generator.made_by,
        "prompt": stage.prompt.version,
        "words": [settings.words_min, settings.words_max],
        "duplicates": settings.duplicates.value,
        "english": settings.english,
        "rules": RULES,
        "max_attempts": settings.max_attempts,
        "seed": seed,
    }
    part = writer.captions({"seeds": seeds.name} | (densified_by if settings.densify else {}))
    unfinished = (
        (block, items) for block, items in enumerate(_blocks(seeds, writer.block_size)) if not part.finished(block)
    )
    screen = None
    if settings.duplicates is not Duplicates.keep:
        screen = Deduplication(part, writer.folder, settings.duplicates)
    loop = RequestLoop(part=part, stage=stage, generator=generator, settings=settings, seed=seed, screen=screen)
    with progress("captions", len(seeds), loop.note) as advance:
        advance(part.rows + part.rejected.total())
        if settings.densify:
            loop.run(unfinished, advance)
        else:
            for block, items in unfinished:
                part.write(block, [as_it_is(item) for item in items])
                advance(len(items))
    part.complete(ceil(len(seeds) / writer.block_size))
    if screen:
        screen.forget()
    return loop.report(time.monotonic() - began)


class CaptionStage:
    """What is asked about a seed, and the caption that the answer makes."""

    name = Part.CAPTIONS.value

    def __init__(self, generator: str, settings: SynthesisSettings) -> None:
        self.prompt = Prompt.load("caption", settings)
        self._generator = generator
        self._settings = settings

    def request(self, item: Seed, seed: int) -> Request:
        """Ask for the dense caption of a seed."""
        return Request(id=item.id, messages=self.prompt.messages(item.text), seed=seed)

    def read(self, item: Seed, result: Result) -> Caption:
        """The caption; id and domain are the seed's. Raises Unusable."""
        return Caption(
            id=item.id,
            text=read_caption(result, item.text, self._settings),
            domain=item.domain,
            generator=self._generator,
            prompt_version=self.prompt.version,
        )


def as_it_is(seed: Seed) -> Caption:
    """The caption that a seed is without being densified: no generator has seen it."""
    return Caption(id=seed.id, text=seed.text, domain=seed.domain, generator="", prompt_version="")


def _blocks(seeds: SeedSource, size: int) -> Iterator[list[Seed]]:
    stream = iter(seeds)
    while block := list(islice(stream, size)):
        yield block
