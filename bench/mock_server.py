"""A language model's server without a model: OpenAI's chat completions after a set time, and faults on request.

    python -m bench.mock_server --latency 0.2 --faults 0.01       prints its port

What it says depends on the request alone, so that a dataset made with its answers is the same whatever happens on the
way; what fails on the way is drawn anew at every try.
"""

import argparse
import asyncio
import random
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import orjson

ON_THE_WAY = ("429", "500", "reset", "hang", "malformed")
IN_THE_ANSWER = ("schema", "truncated", "empty")


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is sent, and when; status 0 breaks the connection, and -1 never comes."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    seconds: float = 0.0


Answer = Callable[[dict[str, Any]], Reply]


def completion(text: str, finish_reason: str = "stop") -> bytes:
    """A chat completion that says `text`."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 100, "completion_tokens": len(text) // 4}
    return orjson.dumps({"object": "chat.completion", "choices": [choice], "usage": usage})


class Model:
    """Answers after `latency` seconds; each kind of fault befalls that share of the requests."""

    def __init__(self, latency: float = 0.0, faults: float = 0.0) -> None:
        self._latency = latency
        self._faults = faults

    def __call__(self, request: dict[str, Any]) -> Reply:
        """The reply to a request's body."""
        match random.choice(ON_THE_WAY) if random.random() < self._faults * len(ON_THE_WAY) else None:
            case "429":
                return Reply(status=429, headers={"Retry-After": "0"})
            case "500":
                return Reply(status=500, body=b'{"error": {"message": "out of luck"}}', seconds=self._latency)
            case "reset":
                return Reply(status=0, seconds=self._latency / 2)
            case "hang":
                return Reply(status=-1)
            case "malformed":
                return Reply(body=completion("cut")[:-9], seconds=self._latency)
            case _:
                return Reply(body=self._said(request), seconds=self._latency)

    def _said(self, request: dict[str, Any]) -> bytes:
        asked = request["messages"][-1]["content"]
        drawn = zlib.crc32(f"{asked} {request.get('seed')}".encode()) / 2**32
        text = _pairs(asked, request) if "response_format" in request else caption(asked)
        if drawn >= self._faults * len(IN_THE_ANSWER):
            return completion(text)
        match IN_THE_ANSWER[int(drawn / self._faults)]:
            case "schema":
                return completion(
                    '{"id": 7}' if "response_format" in request else "I'm sorry, I cannot help with that."
                )
            case "truncated":
                return completion(text[: len(text) // 2], "length")
            case _:
                return completion("")


ADJECTIVES = (
    "amber blue broad bright carved clean dark deep dusty faded flat glossy green grey heavy hollow large "
    "light long low narrow oval pale plain red rough round rusty short small smooth square steep striped "
    "tall thick thin white"
)
NOUNS = (
    "basket bench boat bowl box bridge brush bucket chair clock coat crate cup door fence flag fork gate "
    "glove hat jar kettle ladder lamp leaf map mirror mug pillow plate pot rail rock rope rug shelf sign "
    "spoon stool table vase wall"
)


def caption(asked: str) -> str:
    """Some seventy words of English about what was asked, of which no two are nearly alike."""
    draw = random.Random(asked)
    adjectives, nouns = draw.sample(ADJECTIVES.split(), 22), draw.sample(NOUNS.split(), 22)
    things = [f"a {adjective} {noun}" for adjective, noun in zip(adjectives, nouns, strict=True)]
    return f"The image shows {asked.rstrip('.')}, beside {', '.join(things)}, and in the background there is a hill."


def _pairs(asked: str, request: dict[str, Any]) -> str:
    """As many pairs as the schema asks for at least."""
    given = orjson.loads(asked)
    schema = request["response_format"]["json_schema"]["schema"]
    pairs = schema["properties"]["QA Pairs"]
    chosen = "Options" in pairs["items"]["properties"]
    options = {"Options": dict(zip("ABCD", ("a cup", "a plate", "a fork", "a spoon"), strict=True)), "Answer": "A"}
    answered = options if chosen else {"Answer": "It stands on the table."}
    listed = [{"Question": f"What is number {n} in the image?"} | answered for n in range(pairs["minItems"])]
    return orjson.dumps({"id": given["id"], "QA Pairs": listed}).decode()


class _Connection(asyncio.Protocol):
    """One client: requests of HTTP/1.1, one after another, each with its length."""

    def __init__(self, server: "MockServer") -> None:
        self._server = server
        self._content = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.transports.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.transports.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._content += data
        head, found, rest = self._content.partition(b"\r\n\r\n")
        if found and len(rest) >= (length := _length(head)):
            self._content = rest[length:]
            if self._server.keeps:
                self._server.heads.append(head)
            self._reply(self._server.answer(orjson.loads(rest[:length])))

    def _reply(self, reply: Reply) -> None:
        if reply.status >= 0:
            send = self._transport.abort if reply.status == 0 else lambda: self._send(reply)
            asyncio.get_running_loop().call_later(reply.seconds, send)

    def _send(self, reply: Reply) -> None:
        lines = [f"HTTP/1.1 {reply.status} Status", f"Content-Length: {len(reply.body)}"]
        lines += ["Content-Type: application/json", *(f"{key}: {value}" for key, value in reply.headers.items())]
        self._transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + reply.body)


def _length(head: bytes) -> int:
    lower = head.lower()
    start = lower.index(b"content-length:") + len(b"content-length:")
    return int(lower[start:].split(b"\r\n", 1)[0])


class MockServer:
    """The server in a thread of this process, while it is entered."""

    def __init__(self, answer: Answer, *, keeps: bool = True) -> None:
        self.answer = answer
        self.keeps = keeps
        self.heads: list[bytes] = []  # of every request, where it keeps them
        self.port = 0
        self.transports: set[asyncio.Transport] = set()

    @property
    def address(self) -> str:
        """What goes into llm.endpoints."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def listen(self) -> asyncio.Server:
        """Begin to serve on a free port, or on the one it had before."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, backlog=4096)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)))
        self._thread.start()
        ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await self.listen()
        ready.set()
        await self._over.wait()
        server.close()
        for transport in self.transports.copy():
            transport.abort()
        await server.wait_closed()


async def _serve_for_ever(latency: float, faults: float, port: int) -> None:
    mock = MockServer(Model(latency, faults), keeps=False)
    mock.port = port
    server = await mock.listen()
    print(mock.port, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.mock_server", description=__doc__)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds for an answer")
    parser.add_argument("--faults", type=float, default=0.0, help="share of the requests for each kind of fault")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    chosen = parser.parse_args()
    asyncio.run(_serve_for_ever(chosen.latency, chosen.faults, chosen.port))
