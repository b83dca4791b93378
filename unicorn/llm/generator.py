"""The seam between synthesis and whatever generates text: a stream of requests in, a stream of results out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from unicorn.records import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One conversation to be answered, in text or, with `schema`, in JSON that follows the JSON schema."""

    id: str
    messages: tuple[Message, ...]
    seed: int
    schema: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The answer to the request of the same id; `error` says in a few words why there is none.

    `refused`: the request itself was turned down, and would be again. `finish_reason` is "length" for an answer that
    was cut at the most tokens allowed. The tokens are counted as the model counts them, 0 where nobody does.
    """

    id: str
    text: str = ""
    error: str | None = None
    refused: bool = False
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Generator(Protocol):
    """Anything that answers requests: a server, a local model, the grammar of the embedded world."""

    @property
    def name(self) -> str:
        """The model behind it, as written into every caption."""
        ...

    @property
    def made_by(self) -> dict[str, Any]:
        """What else answers depend on (how they are sampled), as plain values, nothing secret."""
        ...

    @property
    def health(self) -> str:
        """In a few words how what answers is doing, for whoever watches; empty where there is nothing to say."""
        ...

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """Dollars for so many tokens; None where there is no price."""
        ...

    def generate(self, requests: Iterable[Request]) -> Iterator[Result]:
        """One result for each request, in any order; a bad item is a result with an error, never a raise.

        Requests are pulled as capacity frees, so that memory does not grow with their number. When they end, what is in
        flight is still answered. Raises UserError where nothing can be answered at all: no server, no such model.
        """
        ...

    def close(self) -> None:
        """Let go of what it holds (a server, a model); it is asked no more."""
        ...


class GeneratorSettings(Protocol):
    """What a file of conf/llm/ names."""

    def build(self) -> Generator:
        """The generator. What is slow (a model to load) waits for the first request. Raises UserError."""
        ...
