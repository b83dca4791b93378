"""A run of all three stages that takes two seconds: `python -m tests.synthesis.killed_run FOLDER`.

Answers come late and in an order that no two runs share; faults are keyed by id and seed, so that the bytes
of two finished datasets can be compared.
"""

import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.synthesis.stand_ins import (
    SETTINGS,
    HashedVectors,
    HashTower,
    ListedSeeds,
    ScriptedGenerator,
    as_encoder,
    good_answer,
)
from unicorn.dataset import DatasetWriter
from unicorn.llm import Request, Result
from unicorn.synthesis import request_loop
from unicorn.synthesis.captions import write_captions
from unicorn.synthesis.embeddings import write_embeddings
from unicorn.synthesis.instructions import write_instructions


def slow_and_faulty(request: Request) -> Result:
    """Every tenth answer is unusable; some items never get a good one."""
    time.sleep(0.001)
    match zlib.crc32(f"{request.id} {request.seed}".encode()) % 30:
        case 0:
            return Result(id=request.id, text="I'm sorry, I cannot do that.")
        case 1:
            return Result(id=request.id, error="timed out")
        case 2:
            return replace(good_answer(request), finish_reason="length")
        case _:
            hopeless = request.id.endswith("13")
            return Result(id=request.id) if hopeless else good_answer(request)


class SlowTower(HashTower):
    """A tower that takes its time."""

    def encode(self, texts: Sequence[str]) -> HashedVectors:
        time.sleep(0.03)
        return super().encode(texts)


def run(folder: Path) -> None:
    """All three stages, from wherever an earlier run was killed."""
    request_loop.GROUP_SIZE = 7
    generator = ScriptedGenerator(slow_and_faulty)
    with DatasetWriter(folder, block_size=100) as writer:
        write_captions(writer, ListedSeeds(350), generator, SETTINGS, 0)
        write_instructions(writer, generator, SETTINGS, 0)
        write_embeddings(writer, as_encoder(SlowTower()), replace(SETTINGS, encode_batch=20))


if __name__ == "__main__":
    print("running", flush=True)
    run(Path(sys.argv[1]))
