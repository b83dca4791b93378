"""Answers that cannot break a JSON schema: at each token, those are ruled out that no valid answer goes on with.

The grammar engine is llguidance, which this file alone knows.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from numpy.typing import NDArray

if TYPE_CHECKING:
    from llguidance import LLMatcher
    from transformers import PreTrainedTokenizerFast

# As Python's json writes them, and without white space elsewhere, in which a small model would lose itself.
_SEPARATORS = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}
_GRAMMARS_KEPT = 64


class Schemas:
    """The JSON schemas that answers of one tokenizer's tokens are held to; `ends` are the tokens that end an answer."""

    def __init__(self, tokenizer: "PreTrainedTokenizerFast", ends: Sequence[int]) -> None:
        from llguidance.hf import from_tokenizer

        self._tokenizer = from_tokenizer(tokenizer, eos_token=list(ends))
        self._ends = frozenset(ends)
        self._grammar = lru_cache(_GRAMMARS_KEPT)(self._compile)

    def answer(self, schema: Mapping[str, Any]) -> "Answer":
        """An answer yet to be written. Raises ValueError, with the reason, for a schema that cannot be followed."""
        return Answer(self._grammar(orjson.dumps(schema)).deep_copy(), self._ends)

    def _compile(self, schema: bytes) -> "LLMatcher":
        from llguidance import LLMatcher

        grammar = LLMatcher.grammar_from_json_schema(schema.decode(), overrides=_SEPARATORS)  # pyright: ignore[reportArgumentType]
        matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise ValueError(matcher.get_error())
        return matcher


class Answer:
    """One answer as it is written, token by token."""

    def __init__(self, matcher: "LLMatcher", ends: Collection[int]) -> None:
        self._matcher = matcher
        self._ends = ends
        self.ended = False

    @property
    def error(self) -> str:
        """What went wrong, as when a schema is too intricate to be followed; empty if nothing did."""
        return self._matcher.get_error()

    def write(self, token: int) -> None:
        """Add a token, one that was allowed."""
        self._matcher.consume_token(token)
        self.ended = token in self._ends or self._matcher.is_error()

    def allowed(self, vocabulary: int) -> NDArray[np.bool_]:
        """Whether each of so many tokens may come next."""
        bits = np.unpackbits(np.frombuffer(self._matcher.compute_bitmask(), np.uint8), bitorder="little")
        allowed = np.zeros(vocabulary, np.bool_)
        allowed[: len(bits)] = bits[:vocabulary]
        return allowed
