"""Which server the next request goes to: the one with the fewest in flight, of those that have room."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from urllib.parse import urlsplit

from unicorn.errors import UserError

TOLERATED = 5
"""Failures in a row after which an endpoint rests; single ones are the requests' own bad luck."""

LONGEST_REST = 60.0  # seconds, unless the server asks for more
FIRST_PATIENCE = 20.0  # seconds without any answer, where there has never been one
PULSE = 0.1  # seconds between two looks for room, where requests wait for it


class Endpoint:
    """One server: what it has in flight, how much it may have, and, when it fails, how long it rests.

    After a rest one request tries it. As long as that fails too, rests grow longer; once it succeeds, all is as before.
    A server that says it is asked too much (429) loses three tenths of its room, once for all that was in flight, and
    wins it back answer by answer.
    """

    def __init__(self, address: str, concurrency: int) -> None:
        self.url = f"{address.rstrip('/')}/chat/completions"
        self.host = urlsplit(address).netloc
        self.in_flight = 0
        self.failures = 0  # since the beginning
        self.failing = ""  # why, since the last answer
        self.answers = 0
        self.takes_schemas: bool | None = None  # as far as one knows
        self.rests_until = 0.0
        self.told_to_wait = False
        self._concurrency = concurrency
        self._allowed = float(concurrency)
        self._cut_at = 0.0
        self._in_a_row = 0
        self._rests = 0

    @property
    def room(self) -> int:
        """How many requests it can be sent now."""
        if time.monotonic() < self.rests_until:
            return 0
        return (1 if self._rests else int(self._allowed)) - self.in_flight

    @property
    def resting(self) -> float:
        """Seconds until it can be asked."""
        return max(0.0, self.rests_until - time.monotonic())

    def answered(self) -> None:
        """It has answered a request."""
        self.answers += 1
        self.failing = ""
        self.told_to_wait = False
        self._in_a_row = self._rests = 0
        self._allowed = min(self._concurrency, self._allowed + 1 / self._allowed + 0.05)

    def asks_for_less(self, reason: str, began: float, seconds: float | None) -> None:
        """It turned a request, begun then, away as one too many, to come back in `seconds` if it says so."""
        self.failures += 1
        self.failing, self.told_to_wait = reason, True
        now = time.monotonic()
        if began >= self._cut_at:  # of what was in flight when its room was cut, nothing new is learnt
            self._cut_at = now
            self._allowed = max(1.0, 0.7 * self._allowed)
        self.rests_until = max(self.rests_until, now + (seconds or 0.0))

    def failed(self, reason: str, began: float) -> None:
        """It has failed a request that was begun then."""
        self.failures += 1
        self.failing = reason
        if began >= self.rests_until:  # likewise, of its rest
            self._in_a_row += 1
            if self._rests or self._in_a_row >= TOLERATED:
                rest = min(2.0**self._rests, LONGEST_REST)
                self._rests += 1
                self.rests_until = time.monotonic() + rest * random.uniform(0.5, 1.0)

    def __str__(self) -> str:
        state = f"rests for {self.resting:.0f} s ({self.failing})" if self.resting else f"{self.in_flight} in flight"
        return f"{self.host}: {state}" + (f", {self.failures:,} failures" if self.failures else "")


class Endpoints:
    """All servers of a generator; requests wait here where none has room."""

    def __init__(self, endpoints: Sequence[Endpoint], patience: float) -> None:
        self.all = endpoints
        self._patience = patience
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._answered_at = 0.0

    def begin(self) -> None:
        """From now on patience counts."""
        self._answered_at = time.monotonic()
        self._waiting.clear()

    def answered(self, endpoint: Endpoint) -> None:
        """An endpoint has answered."""
        endpoint.answered()
        self._answered_at = time.monotonic()

    async def choose(self) -> Endpoint:
        """The one for the next request, as soon as there is one. Raises UserError if none comes back."""
        while not (free := [endpoint for endpoint in self.all if endpoint.room > 0]):
            self.require_life()
            waiter = asyncio.get_running_loop().create_future()
            if not self._waiting:
                asyncio.get_running_loop().call_later(PULSE, self._pulse)
            self._waiting.append(waiter)
            await waiter
        return min(free, key=lambda endpoint: endpoint.in_flight)

    def _pulse(self) -> None:
        """Wake as many as there is room for; one, where there is none, to see whether there is life."""
        room = sum(max(0, endpoint.room) for endpoint in self.all)
        for _ in range(min(max(room, 1), len(self._waiting))):
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
        if self._waiting:
            asyncio.get_running_loop().call_later(PULSE, self._pulse)

    def require_life(self) -> None:
        """Raises UserError if all endpoints have failed for too long, or will rest for too long."""
        if not all(endpoint.failing for endpoint in self.all):
            return
        hopeful = any(endpoint.answers or endpoint.told_to_wait for endpoint in self.all)
        patience = self._patience if hopeful else min(self._patience, FIRST_PATIENCE)
        seconds = time.monotonic() - self._answered_at
        rest = min(endpoint.resting if endpoint.told_to_wait else 0.0 for endpoint in self.all)
        if seconds > patience or rest > patience:
            failures = "; ".join(f"{endpoint.host}: {endpoint.failing}" for endpoint in self.all)
            wait = f", and none will for {rest:.0f} s more" if rest > patience else ""
            raise UserError(
                f"no endpoint of llm.endpoints has answered for {seconds:.0f} s{wait} ({failures}). "
                "Start the servers or mend the addresses, and run the same command again: what was answered is kept."
            )

    @property
    def health(self) -> str:
        """Each of a few; of many how many there are, and those that rest."""
        if len(self.all) <= 3:
            return "; ".join(map(str, self.all))
        flying = sum(endpoint.in_flight for endpoint in self.all)
        resting = [str(endpoint) for endpoint in self.all if endpoint.resting]
        return "; ".join([f"{len(self.all)} endpoints, {flying:,} in flight", *resting])
