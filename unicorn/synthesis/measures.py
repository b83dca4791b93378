"""The numbers of a dataset's texts, gathered in one pass over its columns, in memory that stays flat.

What takes long (richness of words, near duplicates) is taken of a sample of captions, drawn by their ids.
"""

import heapq
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute
import xxhash
from jaxtyping import Int64
from rensa import RMinHashDeduplicator  # pyright: ignore[reportAttributeAccessIssue] (compiled)

from unicorn.records import Role, Task
from unicorn.synthesis.deduplication import SHINGLE
from unicorn.synthesis.keyed import keyed_integer
from unicorn.synthesis.parsing import LETTERS

pc = cast("Any", pyarrow.compute)  # whose functions are made on import, unseen by pyright

SAMPLE = 100_000
"""Captions that are looked at closely, about, where there are more."""
ALIKE = 0.7
"""The share of shingles, of those that two captions have together, from which on they are near duplicates."""
WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")
ASKING = ("what", "which", "who", "whose", "where", "when", "why", "how")
DECIDING = frozenset(
    "is are was were do does did can could has have had will would should am".split()  # noqa: SIM905
)


class KeyedSample:
    """The few rows whose ids come first in an order that chance made: the same whatever order they are offered in."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: list[tuple[int, int, pa.RecordBatch, int]] = []
        self._offered = 0

    def offer(self, name: str, batch: pa.RecordBatch, row: int) -> None:
        """Keep a row of a batch, if it is one of them."""
        self._offered += 1  # unique, so that no batches are compared
        entry = (-keyed_integer("shown", name), self._offered, batch, row)
        if len(self._kept) < self._size:
            heapq.heappush(self._kept, entry)
        else:
            heapq.heappushpop(self._kept, entry)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Those that are kept, in that order, as plain values."""
        kept = sorted(self._kept, key=lambda entry: -entry[0])
        return [batch.slice(row, 1).to_pylist()[0] for *_, batch, row in kept]


class CaptionMeasures:
    """Lengths and exact duplicates of all captions; words and near duplicates of the sample."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.shown = KeyedSample(6)
        self._drawn_below = min(1.0, SAMPLE / max(count, 1)) * 2**64
        self._words: list[Int64[np.ndarray, " n"]] = []
        self._digests: list[Int64[np.ndarray, " n"]] = []
        self._domains = Counter[str]()
        self._ratios: list[float] = []
        self._entropies: list[float] = []
        self._distinct: set[int] = set()
        self._index = RMinHashDeduplicator(threshold=ALIKE, num_perm=128, use_lsh=True)
        self._sampled = self._near = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Take the columns id, text and domain of some captions in."""
        texts: list[str] = batch.column("text").to_pylist()
        self._words.append(word_counts(texts))
        self._domains.update(batch.column("domain").to_pylist())
        digests = [xxhash.xxh3_64_intdigest(text.encode()) for text in texts]
        self._digests.append(np.array(digests, np.uint64))
        near: list[tuple[str, list[str]]] = []
        names: list[str] = batch.column("id").to_pylist()
        for row, (name, text, digest) in enumerate(zip(names, texts, digests, strict=True)):
            self.shown.offer(name, batch, row)
            if keyed_integer("measured", name) < self._drawn_below:
                self._sampled += 1
                words = WORD.findall(text.lower())
                self._look(words)
                if digest not in self._distinct:
                    self._distinct.add(digest)
                    near.append((name, _shingles(words)))
        self._near += self._index.add_pairs(near).count(False)

    def _look(self, words: Sequence[str]) -> None:
        if words:
            counts = Counter(words).values()
            self._ratios.append(len(counts) / len(words))
            self._entropies.append(math.log2(len(words)) - sum(n * math.log2(n) for n in counts) / len(words))

    @property
    def words(self) -> Int64[np.ndarray, " n"]:
        """The length of every caption, in words."""
        return np.concatenate([np.zeros(0, np.int64), *self._words])

    def metrics(self) -> dict[str, float]:
        """The numbers, flat."""
        numbers: dict[str, float] = {"captions": self.count}
        if len(words := self.words):
            numbers |= {
                "captions/words/mean": float(words.mean()),
                "captions/words/min": int(words.min()),
                "captions/words/median": float(np.median(words)),
                "captions/words/max": int(words.max()),
            }
            distinct = len(np.unique(np.concatenate(self._digests)))
            numbers |= {"captions/exact_duplicates": self.count - distinct}
        if self._ratios:
            numbers |= {
                "captions/type_token_ratio": float(np.mean(self._ratios)),
                "captions/token_entropy": float(np.mean(self._entropies)),
            }
        numbers |= {"captions/sampled": self._sampled, "captions/near_duplicates": self._near}
        return numbers | {f"captions/domain/{name}": count for name, count in self._domains.most_common()}


def word_counts(texts: Iterable[str]) -> Int64[np.ndarray, " n"]:
    """How many words, set apart by white space, each text has."""
    return np.array([len(text.split()) for text in texts], np.int64)


def _shingles(words: Sequence[str]) -> list[str]:
    runs = zip(*(words[start:] for start in range(SHINGLE)), strict=False)
    return list(map(" ".join, runs)) or list(words)


class InstructionMeasures:
    """Tasks, questions by their first word, answers by their letter, lengths."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.shown = {task: KeyedSample(2) for task in Task}
        self._tasks = Counter[str]()
        self._firsts = Counter[str]()
        self._letters = Counter[str]()
        self._questions = 0
        self._answer_words = 0
        self._answers = 0
        self._most = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Take the columns id, task and messages of some instructions in."""
        tasks, messages = batch.column("task"), batch.column("messages")
        names: list[str] = batch.column("id").to_pylist()
        for row, (name, task) in enumerate(zip(names, tasks.to_pylist(), strict=True)):
            self._tasks[task] += 1
            self.shown[Task(task)].offer(name, batch, row)
        parents = pc.list_parent_indices(messages)
        said = pc.list_flatten(messages)
        contents, asks = said.field("content"), pc.equal(said.field("role"), Role.USER.value)
        questions, answers = contents.filter(asks), contents.filter(pc.invert(asks))
        self._questions += len(questions)
        self._firsts.update(_found(questions, r"^\W*(?P<found>\w+)"))
        by_row = np.bincount(parents.filter(asks).to_numpy(), minlength=1)
        self._most = max(self._most, int(by_row.max()))
        self._answers += len(answers)
        self._answer_words += int(word_counts(answers.to_pylist()).sum())
        chosen = pc.equal(tasks, Task.MULTIPLE_CHOICE.value).take(parents)
        self._letters.update(_found(contents.filter(pc.and_not(chosen, asks)), r"^\(?(?P<found>[A-D])(?:[.):\s]|$)"))

    def metrics(self) -> dict[str, float]:
        """The numbers, flat."""
        numbers: dict[str, float] = {"instructions": self.count, "instructions/questions": self._questions}
        if self.count:
            numbers |= {
                "instructions/questions/mean": self._questions / self.count,
                "instructions/questions/max": self._most,
                "instructions/answer_words/mean": self._answer_words / max(self._answers, 1),
            }
        numbers |= {f"instructions/task/{task}": self._tasks[task] for task in Task}
        asked = Counter[str]()
        for word, count in self._firsts.items():
            asked[_kind(word.lower())] += count
        asked["other"] += self._questions - asked.total()
        numbers |= {f"instructions/asks/{word}": count for word, count in asked.most_common() if count}
        return numbers | {f"instructions/letter/{letter}": self._letters[letter] for letter in LETTERS}


def _kind(word: str) -> str:
    """The question word, "yes or no" for those that a verb begins, or "other"."""
    return word if word in ASKING else "yes or no" if word in DECIDING else "other"


def _found(texts: pa.Array, pattern: str) -> dict[str, int]:
    """What the group `found` of a pattern holds in the texts, each with its count."""
    found = pc.struct_field(pc.extract_regex(texts, pattern), "found")
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(found).to_pylist() if entry["values"]}
