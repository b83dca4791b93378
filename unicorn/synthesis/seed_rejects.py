"""What a source of seeds left out: a file of it in the dataset, and a line in the closing table."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import orjson

from unicorn.files import replacing
from unicorn.seeds import SeedSource, Sifting
from unicorn.synthesis.stage import StageReport


def open_seeds(build: Callable[[], SeedSource], dataset: Path) -> tuple[SeedSource, list[StageReport]]:
    """Open a source, and write what it leaves out to `rejects/seeds.jsonl`, in place of what an earlier run wrote.

    The report is of that, and there is none if nothing was left out. Raises UserError.
    """
    began = time.monotonic()
    seeds, path = build(), dataset / "rejects" / "seeds.jsonl"
    if not (isinstance(seeds, Sifting) and any(seeds.rejected.values())):
        path.unlink(missing_ok=True)
        return seeds, []
    with replacing(path) as temporary, temporary.open("wb") as file:
        for reject in seeds.rejects():
            file.write(orjson.dumps(asdict(reject), option=orjson.OPT_APPEND_NEWLINE))
    seconds = time.monotonic() - began
    return seeds, [StageReport(stage="seeds", written=len(seeds), rejected=dict(seeds.rejected), seconds=seconds)]
