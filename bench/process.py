"""Fresh processes, what they hold, and how long things take."""

from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from ctypes import CDLL
from multiprocessing import active_children, get_context
from pathlib import Path
from statistics import median
from threading import Event, Thread
from time import perf_counter
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

BLOCK = 1 << 20
REPETITIONS = 3
"""Of what is timed; the median counts."""


def fresh(function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
    """What a function returns in a process that has done nothing else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


def seconds(function: Callable[[], object], repetitions: int = 1) -> float:
    """How long a call takes; the median of several."""

    def once() -> float:
        start = perf_counter()
        function()
        return perf_counter() - start

    return median(once() for _ in range(repetitions))


def anonymous_bytes(process: int | str = "self") -> int:
    """Memory that no file backs: what a process has of its own."""
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/{process}/smaps_rollup names no anonymous memory")


@contextmanager
def most_anonymous_bytes() -> Generator[list[int]]:
    """A list of one number: the most that `anonymous_bytes` says in the block, looked at five times a second."""
    finished, most = Event(), [anonymous_bytes()]

    def look() -> None:
        while not finished.wait(0.2):
            most[0] = max(most[0], anonymous_bytes())

    looking = Thread(target=look)
    looking.start()
    try:
        yield most
    finally:
        finished.set()
        looking.join()
        most[0] = max(most[0], anonymous_bytes())


def reset_peak() -> int:
    """Give unused memory back, forget the highest resident memory of this process, and return what it has now."""
    CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


def peak_bytes() -> int:
    """The highest resident memory of this process since `reset_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def children_bytes() -> int:
    """Anonymous memory of this process's largest child."""
    return max(anonymous_bytes(child.pid or "self") for child in active_children())


def read_through(files: list[Path], threads: int = 1) -> None:
    """Merely read files, in large blocks, each into one buffer; so many files at a time."""

    def read(path: Path) -> None:
        buffer = bytearray(BLOCK)
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(read, files))


def size(files: list[Path]) -> int:
    """Bytes of files."""
    return sum(path.stat().st_size for path in files)
