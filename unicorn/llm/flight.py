"""Many requests in flight at once, behind the plain iterator that the seam asks for."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from unicorn.llm.generator import Request, Result

LINGER_SECONDS = 0.01
"""After a first answer, how long others are waited for, to be handed on together. The tasks do not wait."""


class Flight:
    """`size` tasks, each of which takes a request, has it answered, and takes the next."""

    def __init__(self, requests: Iterator[Request], answer: Callable[[Request], Awaitable[Result]], size: int) -> None:
        self._requests = requests
        self._answer = answer
        self._size = size
        self._landed: list[Result] = []
        self._error: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] | None = None
        self._news = asyncio.Event()

    async def land(self) -> list[Result]:
        """The answers since the last call, at least one; empty when all requests are answered.

        Raises what a task has raised.
        """
        if self._tasks is None:
            self._tasks = {asyncio.create_task(self._work()) for _ in range(self._size)}
        while self._tasks and not self._landed and self._error is None:
            self._news.clear()
            await self._news.wait()
        if self._landed and self._tasks:
            await asyncio.sleep(LINGER_SECONDS)
        if self._error is not None and not self._landed:
            raise self._error
        landed, self._landed = self._landed, []
        return landed

    async def end(self) -> None:
        """Let go of what is still in flight."""
        tasks = self._tasks or set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self) -> None:
        try:
            while self._error is None and (request := next(self._requests, None)) is not None:
                result = await self._answer(request)
                self._landed.append(result)
                self._news.set()
        except Exception as error:
            self._error = error
        finally:
            if self._tasks is not None and (task := asyncio.current_task()):
                self._tasks.discard(task)
            self._news.set()
