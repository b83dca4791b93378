"""What is measured of Unicorn's way; every function runs in a fresh process."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from bench.figures import UnicornFigures
from bench.generate import IMAGE_TOKEN, ROW_LENGTH, VISUAL_TOKENS, Generator, caption_id
from bench.process import REPETITIONS, anonymous_bytes, children_bytes, fresh, read_through, seconds, size
from unicorn.data.batch import Collator
from unicorn.data.loader import StepDataset, StepLoader
from unicorn.data.order import Order
from unicorn.data.samples import Samples
from unicorn.data.settings import DataSettings
from unicorn.dataset import Part, UnicornDataset
from unicorn.transfer import Statistics
from unicorn.transfer.mean_shift import MeanShiftSettings
from unicorn.transfer.statistics import THREADS

BATCH = 256


class Lookup(NamedTuple):
    """Seconds per vector."""

    resolve: float
    fetch: float
    batch: float
    single: float


class Timed(NamedTuple):
    """Seconds."""

    startup: float
    verified_startup: float
    lookup: Lookup
    mean: float
    read: float


class Stream(NamedTuple):
    """Samples a second, tokens per sample, and anonymous memory: imports alone, at the end, the worker's."""

    rate: float
    tokens: float
    imports_bytes: int
    memory_bytes: int
    worker_bytes: int


@dataclass(frozen=True, kw_only=True)
class Unicorn:
    """Unicorn's way over a dataset and the samples of a stage. At most `streamed` of them are fetched or streamed."""

    folder: Path
    samples: Path
    generator: Generator
    streamed: int

    @property
    def shards(self) -> list[Path]:
        """The files of the embeddings."""
        return sorted((self.folder / Part.EMBEDDINGS).glob("*.arrow"))

    def measure(self) -> UnicornFigures:
        """Every figure, from a warm page cache, in two fresh processes: one that streams and one for the rest."""
        read_through(self.shards)
        stream, timed = fresh(self.stream), fresh(self.timed)
        return UnicornFigures(
            rows=self.generator.rows,
            lookup_seconds=timed.lookup.resolve + timed.lookup.fetch,
            resolve_seconds=timed.lookup.resolve,
            fetch_seconds=timed.lookup.fetch,
            batch_seconds=timed.lookup.batch,
            single_seconds=timed.lookup.single,
            stream_rate=stream.rate,
            tokens_per_sample=stream.tokens,
            imports_bytes=stream.imports_bytes,
            memory_bytes=stream.memory_bytes,
            worker_bytes=stream.worker_bytes,
            mean_seconds=timed.mean,
            read_seconds=timed.read,
            startup_seconds=timed.startup,
            verified_startup_seconds=timed.verified_startup,
            disk_bytes=size(self.shards),
            dataset_bytes=size([path for path in self.folder.rglob("*") if path.is_file()]),
        )

    def timed(self) -> Timed:
        """All but the stream; the start-up comes first."""
        return Timed(
            startup=seconds(lambda: self.startup(verify=False)),
            verified_startup=seconds(lambda: self.startup(verify=True)),
            lookup=self.lookup(),
            mean=seconds(self.mean_pass, REPETITIONS),
            read=seconds(lambda: read_through(self.shards, THREADS), REPETITIONS),
        )

    def lookup(self) -> Lookup:
        """All ids in shuffled order resolved at once, and vectors in batches; then what else can be asked for."""
        dataset = UnicornDataset.open(self.folder, verify=False)
        order = np.random.default_rng(1).permutation(len(dataset))
        ids = pa.array([caption_id(row) for row in order.tolist()])
        resolve = seconds(lambda: dataset.rows(ids), REPETITIONS) / len(ids)
        rows = dataset.rows(ids)[: self.streamed]
        batches = np.array_split(rows, max(1, len(rows) // BATCH))
        fetch = seconds(lambda: [dataset.vectors(batch) for batch in batches], REPETITIONS) / len(rows)
        batch = seconds(lambda: dataset.vectors(dataset.rows(ids[:BATCH])), REPETITIONS) / BATCH
        single = seconds(lambda: dataset.vectors(dataset.rows(ids[:1])), REPETITIONS)
        return Lookup(resolve=resolve, fetch=fetch, batch=batch, single=single)

    def stream(self) -> Stream:
        """A shuffled epoch in steps: tokens packed, vectors fetched and shifted, all by one worker process."""
        imports_bytes = anonymous_bytes()
        dataset = UnicornDataset.open(self.folder, verify=False)
        samples = Samples(self.samples, dataset)
        training = np.flatnonzero(dataset.training_mask[samples.rows])
        steps = StepDataset(
            order=Order(samples=len(training), batch=BATCH, seed=0),
            collator=Collator(
                samples=samples,
                chosen=training,
                pictured=samples.rows[training],
                dataset=dataset,
                transfer=MeanShiftSettings().fit(dataset.statistics, ()),
                image_token_id=IMAGE_TOKEN,
                visual_tokens=VISUAL_TOKENS,
                seed=0,
            ),
            row_length=ROW_LENGTH,
            rows_per_pack=DataSettings.rows_per_pack,
            rank=0,
            ranks=1,
        )
        loader = StepLoader(steps, workers=1)
        timed = min(self.streamed // BATCH, len(loader) - 2)  # the last step is left, and with it the worker
        stream = iter(loader)
        next(stream)
        start = perf_counter()
        counts = [(len(step.samples), step.tokens) for step in islice(stream, timed)]
        elapsed = perf_counter() - start
        samples_taken, tokens_taken = np.sum(counts, axis=0).tolist()
        return Stream(
            rate=samples_taken / elapsed,
            tokens=tokens_taken / samples_taken,
            imports_bytes=imports_bytes,
            memory_bytes=anonymous_bytes(),
            worker_bytes=children_bytes(),
        )

    def mean_pass(self) -> Statistics:
        """Open the dataset; mean and trace of all its vectors."""
        dataset = UnicornDataset.open(self.folder, verify=False)
        return Statistics.from_chunks(dataset.space, ((shard, None) for shard in dataset.shards))

    def startup(self, verify: bool) -> None:
        """Get the first vector, by its id."""
        dataset = UnicornDataset.open(self.folder, verify=verify)
        dataset.vectors(dataset.rows([caption_id(self.generator.rows // 2)]))
