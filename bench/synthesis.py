"""Synthesis beside the limit of its server, and beside the plain openai client: part of `make bench`."""

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
import orjson

from bench.figures import circumstances
from bench.mock_server import caption
from bench.page import duration, machine_line
from bench.process import fresh, most_anonymous_bytes
from unicorn.dataset import DatasetWriter
from unicorn.dataset.manifest import Manifest, Part
from unicorn.files import replacing
from unicorn.llm import Request, Result
from unicorn.llm.openai import OpenAISettings
from unicorn.records import Seed
from unicorn.report.table import markdown_table, numbers_table, show
from unicorn.seeds.files import FilesSettings
from unicorn.synthesis.captions import write_captions
from unicorn.synthesis.deduplication import BANDS, Deduplication, signatures_name
from unicorn.synthesis.prompt import Prompt
from unicorn.synthesis.settings import Duplicates, SynthesisSettings

MOST_A_SECOND = 2000.0
"""Items that one process is expected to handle, whatever the server could do."""

VERSIONS = ("aiohttp", "openai", "rensa", "jsonschema-rs")

PAGE = """\
# Synthesis, measured

`python -m bench.synthesis` (`make bench` runs it too) writes this page and
[synthesis.json](../bench/results/synthesis.json): captions from a local server that answers after {latency:.0f} ms.

{machine}

| in flight | limit | Unicorn | of the limit | CPU an item | openai client | of the limit | CPU an item |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{rows}

{memory}

{resume}

- Items/s. The limit is what the server gives to so many in flight: their number divided by its {latency:.0f} ms.
- Unicorn: `write_captions` from the first request to the last shard, its answers checked (prompt of {prompt} words,
  captions of {words}), screened for near duplicates, and acknowledged in a journal by fdatasync. The openai client
  ({version}): one `AsyncOpenAI`, a semaphore, `gather`; its answers are thrown away.
- CPU is that of the process that asks, user and system; the server is another process on the same cores, and takes
  its share of them.
- Memory: the most that a fresh process has of its own (no file backs it), imports included, from a server without
  latency.
- Resume: a fresh process, imports apart, until the first new request is made; then what it takes to have the
  finished captions' signatures, which is needed when the first new block is full.
"""


@dataclass(kw_only=True)
class SynthesisBenchSettings:
    """What is measured, and where it goes."""

    latency: float = 0.2
    in_flight: tuple[int, ...] = (64, 256, 1024)
    seconds: float = 15.0  # that each measurement takes at the limit, or at 2,000 items a second
    memory_rows: tuple[int, int] = (10_000, 200_000)
    resumed_blocks: int = 74
    block_size: int = 16_384
    results: Path = Path("bench/results/synthesis.json")
    page: Path = Path("docs/synthesis_speed.md")


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What one way came to with so many in flight."""

    in_flight: int
    items: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Items a second."""
        return self.items / self.seconds

    @property
    def cpu(self) -> float:
        """Milliseconds of a processor for an item."""
        return 1000 * self.cpu_seconds / self.items


@dataclass(frozen=True, kw_only=True)
class CountedSeeds:
    """So many short captions."""

    count: int
    name: str = "counted"

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Seed]:
        return (seed(number) for number in range(self.count))


def seed(number: int) -> Seed:
    """A short caption like any other."""
    return Seed(id=f"seed-{number:08d}", text=f"a photograph of thing number {number} on a table", source="counted")


@contextmanager
def server(latency: float) -> Generator[str]:
    """The address of a mock server in a process of its own."""
    command = [sys.executable, "-m", "bench.mock_server", "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


def ours(address: str, in_flight: int, items: int) -> Pace:
    """Stage 1 as the command runs it."""
    settings = OpenAISettings(model="mock", endpoints=[address], concurrency=in_flight)
    with TemporaryDirectory() as folder, DatasetWriter(folder) as writer, closing(settings.build()) as generator:
        began, cpu = perf_counter(), process_time()
        report = write_captions(writer, CountedSeeds(count=items), generator, SynthesisSettings(), 0)
        pace = Pace(in_flight=in_flight, items=items, seconds=perf_counter() - began, cpu_seconds=process_time() - cpu)
        assert report.written == items
    return pace


def plain(address: str, in_flight: int, items: int) -> Pace:
    """The loop that everybody writes first."""
    from openai import AsyncOpenAI

    async def all_of_them() -> None:
        gate = asyncio.Semaphore(in_flight)
        async with AsyncOpenAI(base_url=address, api_key="none") as client:

            async def ask(number: int) -> None:
                async with gate:
                    messages: Any = [{"role": "user", "content": seed(number).text}]
                    await client.chat.completions.create(model="mock", messages=messages, seed=number)

            await asyncio.gather(*(ask(number) for number in range(items)))

    began, cpu = perf_counter(), process_time()
    asyncio.run(all_of_them())
    return Pace(in_flight=in_flight, items=items, seconds=perf_counter() - began, cpu_seconds=process_time() - cpu)


def memory(address: str, items: int) -> int:
    """The most anonymous bytes of this process while it makes so many captions."""
    with most_anonymous_bytes() as most:
        ours(address, 256, items)
    return most[0]


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


def bench(settings: SynthesisBenchSettings) -> list[tuple[Pace, Pace]]:
    """Measure all; write results and page, and show them."""
    at: dict[str, Any] = circumstances("python -m " + " ".join(["bench.synthesis", *sys.argv[1:]]), VERSIONS)
    paces: list[tuple[Pace, Pace]] = []
    with server(settings.latency) as address:
        for in_flight in settings.in_flight:
            items = int(settings.seconds * min(in_flight / settings.latency, MOST_A_SECOND))
            few = items // 4  # of what is four times as slow and more
            paces.append((fresh(ours, address, in_flight, items), fresh(plain, address, in_flight, few)))
    with server(0.0) as address:
        held = [fresh(memory, address, rows) for rows in settings.memory_rows]
    with TemporaryDirectory() as folder:
        finish(Path(folder), settings.resumed_blocks, settings.block_size)
        asked, signed = fresh(resume, Path(folder), settings.block_size)
    resumed = settings.resumed_blocks * settings.block_size
    rows = [_row(mine, theirs, mine.in_flight / settings.latency) for mine, theirs in paces]
    columns = ("in flight", "limit", "Unicorn", "of it", "CPU, ms", "openai", "of it", "CPU, ms")
    show(numbers_table("Synthesis", columns, rows))
    content = {
        **at,
        "paces": [{"unicorn": asdict(mine), "openai": asdict(theirs)} for mine, theirs in paces],
        "memory_bytes_by_rows": dict(zip(settings.memory_rows, held, strict=True)),
        "resume": {"captions": resumed, "request_seconds": asked, "signatures_seconds": signed},
    }
    with replacing(settings.results) as temporary:
        options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
        temporary.write_bytes(orjson.dumps(content, option=options) + b"\n")
    few, many = (f"{count / 1e6:.0f} MB" for count in held)
    page = PAGE.format(
        machine=machine_line(at),
        latency=1000 * settings.latency,
        rows=markdown_table(columns, rows).split("\n", 2)[2].strip(),
        memory=f"Memory: {few} over {settings.memory_rows[0]:,} seeds, {many} over {settings.memory_rows[1]:,}.",
        resume=(
            f"Resume: with {resumed:,} captions finished, {duration(asked)} to the first new request, and "
            f"{duration(signed)} for the signatures."
        ),
        prompt=len(Prompt.load("caption", SynthesisSettings()).instruction.split()),
        words=len(caption(seed(0).text).split()),
        version=at["versions"]["openai"],
    )
    with replacing(settings.page) as temporary:
        temporary.write_text(page)
    return paces


def _row(mine: Pace, theirs: Pace, limit: float) -> tuple[str, ...]:
    shares = [(f"{pace.rate:,.0f}", f"{pace.rate / limit:.0%}", f"{pace.cpu:.2f}") for pace in (mine, theirs)]
    return (f"{mine.in_flight:,}", f"{limit:,.0f}", *shares[0], *shares[1])


def main() -> None:
    """`python -m bench.synthesis`."""
    defaults = SynthesisBenchSettings()
    parser = argparse.ArgumentParser(prog="python -m bench.synthesis", description=__doc__)
    parser.add_argument("--seconds", type=float, default=defaults.seconds, help="that each measurement takes, about")
    parser.add_argument("--results", type=Path, default=defaults.results, help="the JSON")
    parser.add_argument("--page", type=Path, default=defaults.page, help="the table")
    bench(SynthesisBenchSettings(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
