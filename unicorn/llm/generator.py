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
    """The answer to the request of the same id; `error` says in a few words why there is none."""

    id: str
    text: str = ""
    error: str | None = None
    finish_reason: str = "stop"


class Generator(Protocol):
    """Anything that answers requests: a server, a local model, the grammar of the embedded world."""

    @property
    def name(self) -> str:
        """The model behind it, as written into every caption."""
        ...

    def generate(self, requests: Iterable[Request]) -> Iterator[Result]:
        """One result for each request, in any order; a bad item is a result with an error, never a raise.

        Requests are pulled as capacity frees, so that memory does not grow with their number.
        """
        ...


class GeneratorSettings(Protocol):
    """What a file of conf/llm/ names."""

    def build(self) -> Generator:
        """Connect to, or load, the generator."""
        ...
