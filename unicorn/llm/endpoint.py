"""Which server the next request goes to: the one with the fewest in flight, of those that are not at rest."""

import asyncio
import random
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

TOLERATED = 5
"""Failures in a row after which an endpoint rests; single ones are the requests' own bad luck."""

LONGEST_REST = 60.0  # seconds, unless the server asks for more


class Endpoint:
    """One server: what it has in flight, and, when it fails, how long it rests.

    After a rest one request tries it. As long as that fails too, rests grow longer; once it succeeds, all is as before.
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
        self._concurrency = concurrency
        self._in_a_row = 0
        self._rests = 0

    @property
    def has_room(self) -> bool:
        """Whether it can be sent a request now."""
        room = 1 if self._rests else self._concurrency
        return self.in_flight < room and time.monotonic() >= self.rests_until

    def answered(self) -> None:
        """It has answered a request."""
        self.answers += 1
        self.failing = ""
        self._in_a_row = self._rests = 0

    def failed(self, reason: str, began: float, seconds: float | None) -> None:
        """It has failed a request that was begun then, and asks to be left alone for `seconds`, if it says so."""
        self.failures += 1
        self.failing = reason
        if seconds is not None:
            self.rests_until = max(self.rests_until, time.monotonic() + seconds)
        elif began >= self.rests_until:  # of what was in flight when it went to rest, nothing new is learnt
            self._in_a_row += 1
            if self._rests or self._in_a_row >= TOLERATED:
                rest = min(2.0**self._rests, LONGEST_REST)
                self._rests += 1
                self.rests_until = time.monotonic() + rest * random.uniform(0.5, 1.0)

    def __str__(self) -> str:
        resting = self.rests_until - time.monotonic()
        state = f"rests for {resting:.0f} s ({self.failing})" if resting > 0 else f"{self.in_flight} in flight"
        return f"{self.host}: {state}" + (f", {self.failures:,} failures" if self.failures else "")


class Endpoints:
    """All servers of a generator."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self.all = endpoints
        self.answered_at = time.monotonic()

    async def choose(self) -> Endpoint:
        """The one for the next request, as soon as there is one."""
        while not (free := [endpoint for endpoint in self.all if endpoint.has_room]):
            await asyncio.sleep(random.uniform(0.05, 0.25))
        return min(free, key=lambda endpoint: endpoint.in_flight)

    @property
    def out_for(self) -> float:
        """Seconds since the last answer, where every endpoint has failed since its own; else 0."""
        return time.monotonic() - self.answered_at if all(endpoint.failing for endpoint in self.all) else 0.0

    @property
    def health(self) -> str:
        """Each of a few, or how many of many are well."""
        if len(self.all) <= 3:
            return "; ".join(map(str, self.all))
        resting = sum(endpoint.rests_until > time.monotonic() for endpoint in self.all)
        failures = sum(endpoint.failures for endpoint in self.all)
        flying = sum(endpoint.in_flight for endpoint in self.all)
        return f"{len(self.all)} endpoints, {resting} of them at rest, {flying:,} in flight, {failures:,} failures"
