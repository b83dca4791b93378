"""The results as JSON, as a page of tables, and on the terminal."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from bench.figures import H100_SAMPLES_PER_SECOND, Comparison, Figures, expectations
from unicorn.files import replacing
from unicorn.report.table import markdown_table, numbers_table, show

Row = tuple[str, str, str, str]

PAGE = """\
# The data path, measured

`make bench` writes this page and [data_path.json](../bench/results/data_path.json): generated rows of 1,280
dimensions, once through Unicorn and once the published way, in one run.

{machine}

{tables}
## How it was measured
- The published way (`bench/published.py`) was written by us from its description: a pickled list of dicts, scanned to
  its end for every item; a Python loop for the mean; a second, shifted copy, which training looks up in. Its figures
  marked ~ are extrapolated from {measured:,} rows, all costs taken as proportional to the rows, imports apart.
- Each way has two fresh processes, one that streams and one for the rest, and is timed after the imports; the page
  cache is warm. The numerical libraries have one thread.
- Look-up: Unicorn resolves all ids once, in shuffled order, and fetches vectors in shuffled batches of 256; the figure
  is the sum of both, per vector. The published way looks up 256 items at a time. Either is the median of three passes.
  What it costs to resolve again for every batch, or for one id, stands below it.
- What an H100 consumes is taken as {h100} samples a second.
- Streaming: a shuffled epoch, 131,072 samples of it at most, through one worker process. Unicorn: packed rows, labels,
  positions and shifted vectors of {tokens:.0f} tokens a sample. Published: the same token ids, padded, and the look-up.
- Tokens come ready on both sides: every caption has a sample of generated ids, written by `write_samples`.
- Mean pass: Unicorn opens the dataset and takes mean and trace of all vectors; the published way unpickles and
  takes the mean. Unicorn gives every core a shard at a time. Merely reading is `read()` of the same files in
  blocks of 1 MiB, as many files at a time.
- Memory: anonymous memory (`smaps_rollup`) of a process that streams, imports included, and of its worker.
- Start-up: until the first vector, asked for by id. A command verifies checksums once; its workers do not.
- Disk: the embeddings alone; captions and manifest come to {rest} more at {rows:,} rows. Unicorn keeps float16,
  the published way float32, twice.
- Both ways give the same: {agreement}.
"""


def save_results(path: Path, comparisons: Sequence[Comparison], at: Mapping[str, Any]) -> None:
    """Every figure as JSON."""
    expected = [
        {"rows": comparison.unicorn.rows, **asdict(expectation), "met": expectation.met}
        for comparison in comparisons
        for expectation in expectations(comparison)
    ]
    content = {**at, "comparisons": [asdict(comparison) for comparison in comparisons], "expectations": expected}
    with replacing(path) as temporary:
        temporary.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")


def machine_line(at: Mapping[str, Any]) -> str:
    """Command, commit, date, machine and versions, as a page tells them."""
    versions = ", ".join(f"{name} {number}" for name, number in at["versions"].items())
    memory = at["memory_bytes"] / 2**30
    return (
        f"Command `{at['command']}`, commit {at['commit']}, {at['date']}. Machine: {at['processor']}, "
        f"{at['cores']} cores, {memory:.0f} GiB of memory, load\naverage {at['load_average']:.1f} before the run.\n"
        f"Versions: {versions}."
    )


def save_page(path: Path, comparisons: Sequence[Comparison], at: Mapping[str, Any]) -> None:
    """Every figure as Markdown."""
    last = comparisons[-1].unicorn
    tables = [_expectation_table(comparisons[-1]), *map(figure_table, comparisons)]
    agreement = [
        f"at {item.unicorn.rows:,} rows their means differ by {item.mean_difference:.0e} in any dimension at most, and "
        f"shifted vectors by {item.vector_difference:.0e}"
        for item in comparisons
        if item.mean_difference is not None
    ]
    page = PAGE.format(
        machine=machine_line(at),
        tables="\n".join(table.markdown() for table in tables),
        measured=comparisons[-1].published.extrapolated_from or last.rows,
        tokens=last.tokens_per_sample,
        h100=H100_SAMPLES_PER_SECOND,
        rest=size_text(last.dataset_bytes - last.disk_bytes),
        rows=last.rows,
        agreement="; ".join(agreement),
    )
    with replacing(path) as temporary:
        temporary.write_text(page)


def show_results(comparisons: Sequence[Comparison]) -> None:
    """The tables of the page, on the terminal."""
    tables = [*map(figure_table, comparisons), _expectation_table(comparisons[-1])]
    show(*(numbers_table(table.title, table.columns, table.rows) for table in tables))


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """A table as text, for page and terminal alike."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """A heading and the table."""
        return f"## {self.title}\n{markdown_table(self.columns, self.rows)}"


def _expectation_table(comparison: Comparison) -> TextTable:
    rows = [
        (item.name, times(item.expected), about + times(item.ratio), "yes" if item.met else "no")
        for item in expectations(comparison)
        for about in ["~ " if item.beside_published and comparison.published.extrapolated_from else ""]
    ]
    return TextTable(
        title=f"What was expected, at {comparison.unicorn.rows:,} rows",
        columns=("times", "expected", "measured", "met"),
        rows=rows,
    )


def figure_table(comparison: Comparison) -> TextTable:
    """What was measured at one number of rows, both ways and how many times better."""
    ours, theirs = comparison.unicorn, comparison.published
    about = "" if theirs.extrapolated_from is None else "~ "

    def both(name: str, text: Callable[[float], str], of: Callable[[Figures], float], *, more: bool = False) -> Row:
        ratio = of(ours) / of(theirs) if more else of(theirs) / of(ours)
        return name, about + text(of(theirs)), text(of(ours)), about + times(ratio)

    def looked_up(name: str, seconds: float) -> Row:
        return name, "", duration(seconds), about + times(theirs.lookup_seconds / seconds)

    def alone(name: str, text: str) -> Row:
        return name, "", text, ""

    return TextTable(
        title=f"{ours.rows:,} rows",
        columns=("", "published", "Unicorn", "ratio"),
        rows=[
            both("look-up by id, per vector", duration, lambda way: way.lookup_seconds),
            alone("- of it resolving, all ids at once", duration(ours.resolve_seconds)),
            alone("- of it fetching, in batches of 256", duration(ours.fetch_seconds)),
            looked_up("- every batch resolved on its own", ours.batch_seconds),
            looked_up("- one id alone", ours.single_seconds),
            both("streaming, one worker, samples/s", _rate, lambda way: way.stream_rate, more=True),
            both("mean pass, loading included", duration, lambda way: way.mean_seconds),
            alone("- merely reading the same bytes", duration(ours.read_seconds)),
            both("anonymous memory of a process", size_text, lambda way: way.memory_bytes),
            ("- of it imports", size_text(theirs.imports_bytes), size_text(ours.imports_bytes), ""),
            both("anonymous memory of its worker", size_text, lambda way: way.worker_bytes),
            both("start-up", duration, lambda way: way.startup_seconds),
            alone("- with checksums verified", duration(ours.verified_startup_seconds)),
            both("bytes on disk", size_text, lambda way: way.disk_bytes),
        ],
    )


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def size_text(count: float) -> str:
    """Bytes as a person reads them."""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def times(ratio: float) -> str:
    """How many times."""
    return f"{ratio:,.0f}x" if ratio >= 100 else f"{ratio:.3g}x"
