"""Ask a generator, check its answers, ask again where they cannot be used: what stages 1 and 2 share.

Every answer goes into the block's journal as it came, good or bad. So whatever moment a run is killed at, the
next one reads the journal as if the answers had just arrived, and asks for the rest. The outcome is put into
the order of the items, so it does not depend on the order in which answers come.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

from unicorn.dataset import Journal
from unicorn.dataset.part import PartWriter
from unicorn.errors import UserError
from unicorn.llm import Generator, Request, Result
from unicorn.records import Reject
from unicorn.synthesis.keyed import keyed_integer
from unicorn.synthesis.parsing import Reason, Unusable
from unicorn.synthesis.settings import SynthesisSettings
from unicorn.synthesis.stage import Identified, Stage

_GROUP_SIZE = 64  # answers that are acknowledged together,
_GROUP_SECONDS = 1.0  # or as many as come in this time

Item = TypeVar("Item", bound=Identified)
Record = TypeVar("Record")


def write_block(
    part: PartWriter[Sequence[Record]],
    block: int,
    items: Sequence[Item],
    stage: Stage[Item, Record],
    generator: Generator,
    settings: SynthesisSettings,
    seed: int,
    advance: Callable[[int], None],
) -> Counter[str]:
    """Ask for a block's items and write it as a shard. Returns how often an answer was unusable, by reason.

    `advance` is told of each item that is settled. Raises UserError, and leaves the answers in the journal, if
    none of the first block can be used, or none of a later one has come at all.
    """
    journal = part.journal(block)
    try:
        outcome = Rounds(items, stage, journal, settings.max_attempts, seed, advance).run(generator)
    finally:
        journal.close()
    if items and not outcome.records and (not part.rows or set(outcome.unusable) == {Reason.NO_ANSWER.value}):
        reason, count = outcome.unusable.most_common(1)[0]
        raise UserError(
            f"no answer of {generator.name} can be used for {stage.name}; {count:,} times: {reason}. "
            f"Read the answers in {journal.path}, mend the generator, and delete {journal.path}."
        )
    part.write(block, outcome.records, outcome.rejects)
    return outcome.unusable


@dataclass(frozen=True, kw_only=True)
class Outcome(Generic[Record]):
    """A record or a reject for each item, in the items' order; how often an answer was unusable, and why."""

    records: list[Record]
    rejects: list[Reject]
    unusable: Counter[str]


class Rounds(Generic[Item, Record]):
    """The items of one block, from the first request to a record or a reject each.

    An item is asked for up to `max_attempts` times; `advance` is told of each that is settled. The seed of a
    request is keyed by `seed`, the item and the attempt: a new attempt is a new draw.
    """

    def __init__(
        self,
        items: Sequence[Item],
        stage: Stage[Item, Record],
        journal: Journal,
        max_attempts: int,
        seed: int,
        advance: Callable[[int], None],
    ) -> None:
        self._items = {item.id: item for item in items}
        self._stage = stage
        self._journal = journal
        self._max_attempts = max_attempts
        self._seed = seed
        self._advance = advance
        self._records: dict[str, Record] = {}
        self._failures: dict[str, Reject] = {}
        self._unusable: Counter[str] = Counter()
        self._group: list[Result] = []  # answers that are not acknowledged yet
        for entry in journal.records:
            self._take(Result(**entry))

    def run(self, generator: Generator) -> Outcome[Record]:
        """Ask until every item is settled."""
        for attempt in range(self._max_attempts):
            waiting = [item for item in self._items.values() if self._is_waiting(item, attempt)]
            began = time.monotonic()
            try:
                for result in generator.generate(self._request(item, attempt) for item in waiting):
                    self._group.append(result)
                    if len(self._group) == _GROUP_SIZE or time.monotonic() - began > _GROUP_SECONDS:
                        self._acknowledge()
                        began = time.monotonic()
            finally:
                self._acknowledge()
        return Outcome(
            records=[self._records[id_] for id_ in self._items if id_ in self._records],
            rejects=[self._failures[id_] for id_ in self._items if id_ not in self._records],
            unusable=self._unusable,
        )

    def _is_waiting(self, item: Item, attempt: int) -> bool:
        return item.id not in self._records and self._attempts(item.id) <= attempt

    def _attempts(self, id_: str) -> int:
        return self._failures[id_].attempts if id_ in self._failures else 0

    def _request(self, item: Item, attempt: int) -> Request:
        return self._stage.request(item, keyed_integer(self._seed, self._stage.name, item.id, attempt) >> 33)

    def _acknowledge(self) -> None:
        """Put the answers at hand into the journal; only then do they count."""
        group, self._group = self._group, []
        if group:
            self._journal.append([_entry(result) for result in group])
        for result in group:
            self._take(result)

    def _take(self, result: Result) -> None:
        try:
            self._records[result.id] = self._stage.read(self._items[result.id], result)
        except Unusable as error:
            self._unusable[error.reason.value] += 1
            self._failures[result.id] = Reject(
                id=result.id,
                stage=self._stage.name,
                reason=error.reason.value,
                attempts=self._attempts(result.id) + 1,
                answer=result.error or result.text,
            )
        self._advance(result.id in self._records or self._attempts(result.id) == self._max_attempts)


def _entry(result: Result) -> dict[str, str | None]:
    return {item.name: getattr(result, item.name) for item in fields(result)}
