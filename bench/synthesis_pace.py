"""How fast captions come from a server: by Unicorn, and by the plain openai client."""

import asyncio
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

from bench.process import most_anonymous_bytes
from unicorn.dataset import DatasetWriter
from unicorn.llm.openai import OpenAISettings
from unicorn.records import Seed
from unicorn.synthesis.captions import write_captions
from unicorn.synthesis.settings import SynthesisSettings


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
