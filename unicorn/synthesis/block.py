"""One block between its first request and its shard: what is settled of it, what waits, what its journal holds.

Every answer goes into the journal as it came, good or bad, and so does the verdict on one that looked good and was
turned away later. So whatever moment a run is killed at, the next one reads the journal as if all had just happened,
and asks for the rest. A request that had no answer leaves nothing there: it cost nothing, is sent again as it was, and
the next run may have more luck. The outcome is put into the order of the items: it does not depend on the order of the
answers.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Generic, TypeVar

from unicorn.dataset import Journal
from unicorn.dataset.manifest import Asked
from unicorn.llm import Result
from unicorn.records import Reject
from unicorn.synthesis.parsing import Reason, Unusable
from unicorn.synthesis.stage import Identified, Stage

Item = TypeVar("Item", bound=Identified)
Record = TypeVar("Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """On a record that looked good alone and is no good beside others: why, and the answer that it was made of."""

    id: str
    unusable: str
    answer: str


class OpenBlock(Generic[Item, Record]):
    """The items of one block. Each is asked for up to `max_attempts` times before it is given up."""

    def __init__(self, items: Sequence[Item], stage: Stage[Item, Record], journal: Journal, max_attempts: int) -> None:
        self.items = {item.id: item for item in items}
        self.journal = journal
        self.unusable: Counter[str] = Counter()
        self.unanswered = 0
        self.asked = Asked()
        self._stage = stage
        self._max_attempts = max_attempts
        self._records: dict[str, Record] = {}
        self._failures: dict[str, Reject] = {}
        self._attempts: Counter[str] = Counter()
        self._unanswered: Counter[str] = Counter()
        self._given_up: set[str] = set()
        for entry in journal.take_records():
            self._replay(entry)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def settled(self) -> int:
        """How many items have a record, or are given up."""
        return len(self._records) + len(self._given_up)

    @property
    def records(self) -> list[Record]:
        """The records so far, in the order of the items."""
        return [self._records[id_] for id_ in self.items if id_ in self._records]

    @property
    def rejects(self) -> list[Reject]:
        """What is given up, or waits after a failure, in the order of the items."""
        return [self._failures[id_] for id_ in self.items if id_ in self._failures and id_ not in self._records]

    def records_of(self, results: Sequence[Result]) -> list[Record]:
        """The records that results have become, of those that have."""
        return [self._records[result.id] for result in results if result.id in self._records]

    def waiting(self) -> Iterator[Item]:
        """The items that are to be asked for, in their order, each as it is at the time."""
        return (item for item in self.items.values() if self.is_waiting(item.id))

    def is_waiting(self, id_: str) -> bool:
        """Whether an item has no record, and is not given up."""
        return id_ not in self._records and id_ not in self._given_up

    def attempts(self, id_: str) -> int:
        """How often an item's answer was turned away."""
        return self._attempts[id_]

    @property
    def given_up(self) -> int:
        """How many items are given up."""
        return len(self._given_up)

    def acknowledge(self, results: Sequence[Result]) -> None:
        """Put answers into the journal; only then do they count. Raises UserError where the disk is full."""
        self.journal.append([_entry(result) for result in results if _counts(result)])
        for result in results:
            self._take(result)

    def turn_away(self, verdicts: Sequence[Verdict]) -> None:
        """Take records back; acknowledged like answers."""
        self.journal.append([asdict(verdict) for verdict in verdicts])
        for verdict in verdicts:
            self._take_back(verdict)

    def _replay(self, entry: dict[str, Any]) -> None:
        if "unusable" in entry:
            self._take_back(Verdict(**entry))
        else:
            self._take(Result(**entry))

    def _take(self, result: Result) -> None:
        if not _counts(result):
            self.unanswered += 1
            self._fail(result.id, Reason.NO_ANSWER, result.error or "", self._unanswered)
            return
        self.asked += Asked(answers=1, prompt_tokens=result.prompt_tokens, completion_tokens=result.completion_tokens)
        try:
            self._records[result.id] = self._stage.read(self.items[result.id], result)
        except Unusable as error:
            self._fail(result.id, error.reason, result.error or result.text, self._attempts)
            if result.refused:
                self._given_up.add(result.id)

    def _take_back(self, verdict: Verdict) -> None:
        self._records.pop(verdict.id, None)
        self._fail(verdict.id, verdict.unusable, verdict.answer, self._attempts)

    def _fail(self, id_: str, reason: str, answer: str, counted: Counter[str]) -> None:
        """Note why there is no record; `counted` is what this failure counts among."""
        self.unusable[str(reason)] += 1
        counted[id_] += 1
        attempts = counted[id_]
        self._failures[id_] = Reject(
            id=id_, stage=self._stage.name, reason=str(reason), attempts=attempts, answer=answer
        )
        if counted[id_] == self._max_attempts:
            self._given_up.add(id_)


def _counts(result: Result) -> bool:
    """Whether it is an answer, if only a refusal; else the request may be sent again as it was."""
    return result.error is None or result.refused


def _entry(result: Result) -> dict[str, Any]:
    return {item.name: getattr(result, item.name) for item in fields(result)}
