"""What synthesis is tested with: seeds, a generator whose answers a test writes, a tower without weights."""

import json
import random
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from unicorn.llm import Request, Result
from unicorn.records import Seed
from unicorn.synthesis.settings import Duplicates, SynthesisSettings

if TYPE_CHECKING:
    from unicorn.encoder import EncoderSettings

SETTINGS = SynthesisSettings(words_min=5, words_max=40, pairs_min=2, pairs_max=4, duplicates=Duplicates.keep)


class ListedSeeds:
    """Numbered seeds."""

    def __init__(self, count: int) -> None:
        self._count = count

    @property
    def name(self) -> str:
        return f"listed {self._count}"

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Seed]:
        for number in range(self._count):
            domain = "birds" if number % 3 else "open"
            yield Seed(id=f"seed-{number}", text=f"thing {number}", source="listed", domain=domain)


class ScriptedGenerator:
    """Answers by a function of the request, with 16 in flight and in an order that is never the same."""

    name = "scripted"
    health = ""

    def __init__(self, answer: Callable[[Request], Result]) -> None:
        self._answer = answer
        self.made_by = dict[str, object]()
        self.requests: list[Request] = []

    def generate(self, requests: Iterable[Request]) -> Iterator[Result]:
        stream = iter(requests)
        while flight := list(islice(stream, 16)):
            self.requests += flight
            yield from map(self._answer, random.sample(flight, len(flight)))

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        return None

    def close(self) -> None:
        pass


def good_answer(request: Request) -> Result:
    """A caption in text, or two pairs in JSON where a schema asks for it."""
    if request.schema is None:
        return Result(id=request.id, text=f"The {request.messages[-1].content} stands on a large round table.")
    given = json.loads(request.messages[-1].content)
    return Result(id=request.id, text=json.dumps(good_pairs(given["id"], request.schema["title"])))


def good_pairs(identity: str, task: str) -> dict[str, object]:
    """Two pairs under the schema; of a multiple choice, A is always right."""
    options = {"Options": {"A": "round", "B": "square", "C": "oval", "D": "long"}}
    pairs = [
        {"Question": question, "Answer": "round"} | (options | {"Answer": "A"} if "choice" in task else {})
        for question in ("What shape is the table?", "Is it round?")
    ]
    return {"id": identity, "QA Pairs": pairs}


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, byte for byte."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class HashedVectors:
    """What a tower returns: something that becomes an array."""

    def __init__(self, vectors: np.ndarray) -> None:
        self._vectors = vectors

    def numpy(self) -> np.ndarray:
        return self._vectors


class HashTower:
    """A unit vector per text, from its checksum; `spoil` may change the vectors of a batch."""

    space = "hash"
    dimension = 8
    context = 5  # words, as it says; it reads them all

    def __init__(self, spoil: Callable[[Sequence[str], np.ndarray], np.ndarray] | None = None) -> None:
        self._spoil = spoil
        self.batches: list[list[str]] = []
        self.loaded = 0
        self.cut = 0
        self.made_by = {"dimension": self.dimension}

    def text_tower(self) -> "HashTower":
        self.loaded += 1
        return self

    def encode(self, texts: Sequence[str]) -> HashedVectors:
        self.batches.append(list(texts))
        self.cut += sum(len(text.split()) > self.context for text in texts)
        rows = [np.random.default_rng(zlib.crc32(text.encode())).normal(size=self.dimension) for text in texts]
        vectors = np.array(rows, dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return HashedVectors(self._spoil(texts, vectors) if self._spoil else vectors)


def as_encoder(tower: HashTower) -> "EncoderSettings":
    """The tower as its own settings; it has no image tower, and its arrays are no tensors."""
    return cast("EncoderSettings", tower)
