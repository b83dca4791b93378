"""The wire: OpenAI's chat completions, as JSON there and back."""

from typing import Any

import orjson

from unicorn.errors import in_a_line
from unicorn.llm.generator import Request, Result


class UnavailableError(Exception):
    """A try that failed for no fault of the request: it may be sent again."""


class TooManyError(Exception):
    """The server is asked more than it likes, and wants to be left alone for `seconds`, if it says so."""

    def __init__(self, reason: str, seconds: float | None) -> None:
        super().__init__(reason)
        self.seconds = seconds


def request_body(fixed: dict[str, Any], request: Request, *, structured: bool) -> bytes:
    """A request in JSON; `fixed` is what all have in common, null what is left out of it.

    `structured` binds the answer to the schema.
    """
    own: dict[str, Any] = {"messages": request.messages, "seed": request.seed}
    if structured and request.schema is not None:
        named = {"name": request.schema.get("title", "answer"), "schema": request.schema, "strict": True}
        own["response_format"] = {"type": "json_schema", "json_schema": named}
    return orjson.dumps({key: value for key, value in (fixed | own).items() if value is not None})


def read_answer(id_: str, content: bytes) -> Result:
    """The answer in what a server sent with status 200. Raises UnavailableError if it is no such thing."""
    try:
        values = orjson.loads(content)
        choice = values["choices"][0]
        usage = values.get("usage") or {}
        return Result(
            id=id_,
            text=_text(choice["message"].get("content") or choice["message"].get("refusal") or ""),
            finish_reason=str(choice.get("finish_reason") or "stop"),
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or 0),
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UnavailableError(f"an answer that is no chat completion: {content[:80]!r}") from error


def _text(content: str | list[dict[str, Any]]) -> str:
    """A message's text, which may come in parts."""
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def read_complaint(status: int, content: bytes) -> str:
    """In a line, what a server says of a status other than 200."""
    try:
        values = orjson.loads(content)
        error = values.get("error", values) if isinstance(values, dict) else values
        said = error.get("message", error) if isinstance(error, dict) else error
    except orjson.JSONDecodeError:
        said = content.decode(errors="replace")
    return f"{status}: {in_a_line(str(said))}" if said else f"status {status}"
