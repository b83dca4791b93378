"""What is measured of the published way; every function runs in a fresh process."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from torch.utils.data import DataLoader

from bench import published
from bench.figures import Figures
from bench.generate import Generator, caption_id
from bench.process import REPETITIONS, anonymous_bytes, children_bytes, fresh, seconds, size

BATCH = 16


@dataclass(frozen=True, kw_only=True)
class Published:
    """The published way over a folder of its two pickles. `scans` is how many items are looked up to take the mean."""

    folder: Path
    generator: Generator
    scans: int

    @property
    def raw(self) -> Path:
        """All embeddings."""
        return self.folder / "raw.pickle"

    @property
    def shifted(self) -> Path:
        """All embeddings, shifted: what training looks up in."""
        return self.folder / "shifted.pickle"

    def measure(self) -> Figures:
        """Every figure, in two fresh processes: one that streams and one for the rest."""
        stream_rate, imports_bytes, memory_bytes, worker_bytes = fresh(self.stream)
        startup_seconds, lookup_seconds, mean_seconds = fresh(self.timed)
        return Figures(
            rows=self.generator.rows,
            lookup_seconds=lookup_seconds,
            stream_rate=stream_rate,
            mean_seconds=mean_seconds,
            imports_bytes=imports_bytes,
            memory_bytes=memory_bytes,
            worker_bytes=worker_bytes,
            startup_seconds=startup_seconds,
            disk_bytes=size([self.raw, self.shifted]),
        )

    def timed(self) -> tuple[float, float, float]:
        """Seconds until the first vector is there; to find one by its id; to load all and take their mean."""
        middle = caption_id(self.generator.rows // 2)
        startup = seconds(lambda: published.find(published.load(self.shifted), middle))
        items = published.load(self.shifted)
        rows = np.random.default_rng(1).integers(0, len(items), self.scans).tolist()
        lookup = seconds(lambda: [published.find(items, caption_id(row)) for row in rows], REPETITIONS) / self.scans
        del items
        return startup, lookup, seconds(lambda: published.mean(published.load(self.raw)))

    def stream(self) -> tuple[float, int, int, int]:
        """Samples a second through one worker, and anonymous memory: with imports alone, at the end, the worker's."""
        imports_bytes = anonymous_bytes()
        items = published.load(self.shifted)
        ids = [item["id"] for item in items]
        dataset = published.ScannedDataset(ids=ids, tokens=self.generator.token_ids(), items=items)
        loader = DataLoader(dataset, BATCH, shuffle=True, num_workers=1, collate_fn=published.collate)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of fork, which is part of the published way
            batches = iter(loader)
        next(batches)
        count, start = 0, perf_counter()
        for batch in batches:
            count += len(batch["image_embeds"])
            if count >= self.scans:
                break
        rate = count / (perf_counter() - start)
        return rate, imports_bytes, anonymous_bytes(), children_bytes()
