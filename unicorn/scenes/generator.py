"""A generator without a language model: it knows the grammar of the embedded world.

Like any generator it is given a prompt and a schema and nothing else, so it has to read the caption that the
prompt holds. It completes a seed to a scene and describes it, or asks what the facts of a dense caption
decide. Now and then it refuses, stops in mid-sentence or writes what is no JSON, as language models do; asked
again with another seed, it does better.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from unicorn.llm import Request, Result
from unicorn.scenes.graph import complete, keyed_random
from unicorn.scenes.language import FORMS, dense_caption
from unicorn.scenes.lexicon import LETTERS, closed_vocabulary, words
from unicorn.scenes.questions import Question, questions
from unicorn.scenes.reader import read

_VOCABULARY = frozenset(closed_vocabulary(FORMS))
_REFUSALS = "I'm sorry, but I cannot help with that.", "As an AI, I have no picture to describe."


@dataclass(kw_only=True)
class GrammarSettings:
    """How often an answer is a refusal, and how often it is cut short or malformed."""

    refused: float = 0.004
    malformed: float = 0.01

    def build(self) -> "GrammarGenerator":
        """There is nothing to load."""
        return GrammarGenerator(self.refused, self.malformed)


class GrammarGenerator:
    """The scene of a seed depends on the request's id alone; wording and faults on its id and seed."""

    def __init__(self, refused: float = 0.0, malformed: float = 0.0) -> None:
        self._refused = refused
        self._malformed = malformed

    @property
    def name(self) -> str:
        """The grammar."""
        return "scenes-grammar"

    @property
    def made_by(self) -> dict[str, Any]:
        """Its rates of faults."""
        return {"refused": self._refused, "malformed": self._malformed}

    @property
    def health(self) -> str:
        """It never fails."""
        return ""

    def cost(self, prompt_tokens: int, completion_tokens: int) -> None:
        """It is free."""

    def close(self) -> None:
        """It holds nothing."""

    def generate(self, requests: Iterable[Request]) -> Iterator[Result]:
        """One result for each request, in their order."""
        return map(self._answer, requests)

    def _answer(self, request: Request) -> Result:
        rng = keyed_random("answer", request.id, request.seed)
        chance = rng.random()
        if chance < self._refused:
            return Result(id=request.id, text=rng.choice(_REFUSALS))
        unknown = set[str]() if request.schema else set(words(request.messages[-1].content)) - _VOCABULARY
        if unknown:
            return Result(id=request.id, error=f"{min(unknown)!r} is no word of the embedded world", refused=True)
        text = _instruction(request, request.schema) if request.schema else _caption(request)
        if chance < self._refused + self._malformed:
            cut = text[: rng.randrange(len(text))]
            return Result(id=request.id, text=cut, finish_reason=rng.choice(("length", "stop")))
        return Result(id=request.id, text=text)


def _caption(request: Request) -> str:
    scene = complete(read(request.messages[-1].content), keyed_random("scene", request.id))
    return dense_caption(scene, keyed_random("caption", request.id, request.seed))


def _instruction(request: Request, schema: dict[str, Any]) -> str:
    """Questions of the task that is the schema's title, as many as it allows and the facts decide."""
    given = orjson.loads(request.messages[-1].content)
    rng = keyed_random("instruction", request.id, request.seed)
    pairs = schema["properties"]["QA Pairs"]
    number = rng.randint(pairs["minItems"], pairs["maxItems"])
    asked = questions(read(given["caption"]), rng, schema["title"], number=number)
    return orjson.dumps({"id": given["id"], "QA Pairs": [_pair(question) for question in asked]}).decode()


def _pair(question: Question) -> dict[str, Any]:
    if question.options is None:
        return {"Question": question.question, "Answer": question.answer}
    options = dict(zip(LETTERS, question.options, strict=True))
    return {"Question": question.question, "Options": options, "Answer": question.answer}
