"""Synthesis beside the limit of its server, and beside the plain openai client: part of `make bench`."""

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from bench.figures import circumstances
from bench.mock_server import caption
from bench.page import duration, machine_line
from bench.process import fresh
from bench.synthesis_pace import Pace, memory, ours, plain, seed, server
from bench.synthesis_resume import finish, resume
from unicorn.files import replacing
from unicorn.report.table import markdown_table, numbers_table, show
from unicorn.synthesis.prompt import Prompt
from unicorn.synthesis.settings import SynthesisSettings

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
  ({version}): one `AsyncOpenAI`, a semaphore, `gather`; it sends the short caption without the
  prompt, and its answers are thrown away.
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
