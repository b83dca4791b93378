"""Ask a generator, check its answers, ask again where they cannot be used: what stages 1 and 2 share.

One stream of requests runs over all blocks, so that a server is kept busy: what is to be asked again goes before what
is new, and the next blocks are begun while the last answers of one are still to come. Blocks are written in their
order, each as soon as all of it is settled.
"""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from unicorn.dataset.part import PartWriter
from unicorn.errors import UserError
from unicorn.llm import Generator, Request, Result
from unicorn.synthesis.block import OpenBlock, Verdict
from unicorn.synthesis.interruption import Interruption
from unicorn.synthesis.keyed import keyed_integer
from unicorn.synthesis.settings import SynthesisSettings
from unicorn.synthesis.stage import Identified, Stage, StageReport
from unicorn.synthesis.usage import Usage

GROUP_SIZE = 128  # answers that are acknowledged together,
_GROUP_SECONDS = 1.0  # or as many as come in this time

OPEN_ITEMS = 262_144
"""No further block is begun while more items are open: memory does not grow with the number of seeds.

It is what a thousand answers a second need where some take minutes.
"""

HOPELESS = 500
"""If none of so many first answers can be used, or so many requests in a row have none, it will not get better."""

MANY = 20
"""So many requests without an answer are no matter of what is asked."""

Item = TypeVar("Item", bound=Identified)
Record = TypeVar("Record")
Screened = TypeVar("Screened", contravariant=True)


class Screen(Protocol[Screened]):
    """A look at the records of a block beside those of all blocks before it."""

    def look(self, records: Sequence[Screened]) -> None:
        """Do what can be done with records as they come, so that there is less to do when their block is settled."""
        ...

    def verdicts(self, records: Sequence[Screened]) -> list[Verdict]:
        """On those that may not stay; the same for the same records."""
        ...

    def keep(self, block: int, records: Sequence[Screened]) -> None:
        """What was looked at last is written, and stays: the records of later blocks are compared with it."""
        ...


@dataclass(kw_only=True)
class RequestLoop(Generic[Item, Record]):
    """A stage's run over the blocks of a part that are not finished.

    The seed of a request is keyed by `seed`, the item and the attempt: a new attempt is a new draw.
    """

    part: PartWriter[Sequence[Record]]
    stage: Stage[Item, Record]
    generator: Generator
    settings: SynthesisSettings
    seed: int
    screen: Screen[Record] | None = None

    def __post_init__(self) -> None:
        self.unusable: Counter[str] = Counter()
        self._open: dict[int, OpenBlock[Item, Record]] = {}  # in their order
        self._block_of: dict[str, OpenBlock[Item, Record]] = {}
        self._fresh: deque[Item] = deque()
        self._again: deque[Item] = deque()
        self._group: list[Result] = []  # answers that are not acknowledged yet
        self._acknowledged_at = time.monotonic()
        self._all_begun = False
        self._unanswered = 0  # requests in a row

    def run(self, blocks: Iterable[tuple[int, Sequence[Item]]], advance: Callable[[int], None]) -> None:
        """Ask until every item of the blocks, which come in their order, is settled, and write them.

        `advance` is told how many items are settled, or, by a negative number, how many are so no more.
        Raises UserError if no answer can be used, and StoppedError when someone asked to stop; what was answered is in
        the journals.
        """
        self._blocks = iter(blocks)
        self._advance = advance
        try:
            with Interruption() as interruption:
                while self._open or not self._all_begun:
                    answered = self._ask(interruption)
                    interruption.stop_if_asked()
                    if self._open and not answered:
                        raise RuntimeError(f"{self.generator.name} has left all its requests without a result")
                    self._again = deque(item for block in self._open.values() for item in block.waiting())
                    self._fresh.clear()  # it is among them
        finally:
            for block in self._open.values():
                block.journal.close()

    def note(self) -> str:
        """For whoever watches: what it has cost so far, what was turned away, how the generator is doing."""
        asked = sum((block.asked for block in list(self._open.values())), self.part.asked)
        cost = self.generator.cost(asked.prompt_tokens, asked.completion_tokens)
        turned_away = self.unusable + sum((block.unusable for block in list(self._open.values())), Counter[str]())
        given_up = self.part.rejected.total() + sum(block.given_up for block in list(self._open.values()))
        notes = [
            "" if cost is None else f"${cost:,.2f}",
            f"{turned_away.total():,} answers turned away" if turned_away else "",
            f"{given_up:,} items given up" if given_up else "",
            self.generator.health,
        ]
        return ", ".join(filter(None, notes))

    def report(self, seconds: float) -> StageReport:
        """What there is of the part now, and what this run has turned away for it."""
        asked = self.part.asked
        usage = Usage(
            stage=self.stage.name,
            answers=asked.answers,
            prompt_tokens=asked.prompt_tokens,
            completion_tokens=asked.completion_tokens,
            cost=self.generator.cost(asked.prompt_tokens, asked.completion_tokens),
            seconds=seconds,
        )
        return StageReport(
            stage=self.stage.name,
            written=self.part.rows,
            rejected=self.part.rejected,
            unusable=self.unusable,
            seconds=seconds,
            usage=usage,
        )

    def _ask(self, interruption: Interruption) -> int:
        """Ask for what waits and what is fresh, until nothing more can be asked. Returns how many answers came."""
        answered = 0
        try:
            for result in self.generator.generate(self._requests(interruption)):
                answered += 1
                self._group.append(result)
                if len(self._group) >= GROUP_SIZE or time.monotonic() - self._acknowledged_at > _GROUP_SECONDS:
                    self._acknowledge()
        finally:
            self._acknowledge()
        return answered

    def _requests(self, interruption: Interruption) -> Iterator[Request]:
        while not interruption.asked and (item := self._next()) is not None:
            attempt = self._block_of[item.id].attempts(item.id)
            yield self.stage.request(item, keyed_integer(self.seed, self.stage.name, item.id, attempt) >> 33)

    def _next(self) -> Item | None:
        """What to ask about next; None where everything waits for an answer."""
        if self._again:
            return self._again.popleft()
        while not self._fresh and self._begin_block():
            if self._again:
                return self._again.popleft()
        return self._fresh.popleft() if self._fresh else None

    def _begin_block(self) -> bool:
        """Open the next block, with what an earlier run has left of it. False if there is none, or no room for it."""
        if sum(map(len, self._open.values())) >= OPEN_ITEMS:
            return False
        number, items = next(self._blocks, (None, ()))
        if number is None:
            self._all_begun = True
            return False
        block = OpenBlock(items, self.stage, self.part.journal(number), self.settings.max_attempts)
        self._open[number] = block
        self._block_of |= dict.fromkeys((item.id for item in items), block)
        self._fresh.extend(block.waiting())  # before it may be screened: what is turned away then goes elsewhere
        self._advance(block.settled)
        self._write_settled()
        return True

    def _acknowledge(self) -> None:
        """Put the answers at hand into the journals; only then do they count."""
        group, self._group = self._group, []
        for result in group:
            self._unanswered = self._unanswered + 1 if result.error is not None else 0
        self._acknowledged_at = time.monotonic()
        of_block: dict[OpenBlock[Item, Record], list[Result]] = defaultdict(list)
        for result in group:
            of_block[self._block_of[result.id]].append(result)
        for block, results in of_block.items():
            settled = block.settled
            block.acknowledge(results)
            if self.screen:
                self.screen.look(block.records_of(results))
            self._advance(block.settled - settled)
            self._again.extend(block.items[result.id] for result in results if block.is_waiting(result.id))
        self._write_settled()
        if self._unanswered >= HOPELESS:
            raise self._no_answers(self._unanswered, group[-1].error)

    def _write_settled(self) -> None:
        """Write the blocks that are settled, up to the first that is not."""
        for number, block in list(self._open.items()):
            self._require_hope(block)
            if block.settled == len(block):
                self._screen(block)
            if block.settled < len(block):
                return
            block.journal.close()
            self.part.write(number, block.records, block.rejects, block.asked)
            if self.screen:
                self.screen.keep(number, block.records)
            self.unusable += block.unusable
            del self._open[number]
            for id_ in block.items:
                del self._block_of[id_]

    def _screen(self, block: OpenBlock[Item, Record]) -> None:
        """Look at a block's records beside those before them; what may not stay is asked for again."""
        while self.screen and block.settled == len(block) and (verdicts := self.screen.verdicts(block.records)):
            block.turn_away(verdicts)
            self._advance(block.settled - len(block))
            self._again.extend(block.items[verdict.id] for verdict in verdicts if block.is_waiting(verdict.id))

    def _require_hope(self, block: OpenBlock[Item, Record]) -> None:
        """Raises UserError if a block comes to nothing for a reason that is not its items'."""
        settled, failures = block.settled == len(block), block.unusable.total()
        if settled and failures >= MANY and not block.records and block.unanswered == failures:
            raise self._no_answers(failures, block.rejects[-1].answer)
        if not self.part.rows and not block.records and failures and (settled or failures >= HOPELESS):
            reason, count = block.unusable.most_common(1)[0]
            path = block.journal.path
            raise UserError(
                f"no answer of {self.generator.name} can be used for {self.stage.name}; {count:,} times: {reason}. "
                f"Read the answers in {path}, mend the generator, and delete {path}."
            )

    def _no_answers(self, count: int, reason: str | None) -> UserError:
        return UserError(
            f"{self.generator.name} has left {count:,} requests for {self.stage.name} in a row without an answer, the "
            f"last for this reason: {reason}. Mend it, and run the same command again: what was answered is kept."
        )
