"""What every generator promises, whatever answers behind it."""

import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from bench.mock_server import MockServer, Model, Reply
from tests.llm import tiny_chat
from unicorn.llm import Generator, GeneratorSettings, Request, Result
from unicorn.llm.causal_lm import CausalLMSettings
from unicorn.llm.llamacpp import LlamaCppSettings
from unicorn.llm.openai import OpenAISettings
from unicorn.llm.vllm import VLLMSettings
from unicorn.records import Message, Role
from unicorn.scenes.generator import GrammarSettings
from unicorn.scenes.seeds import SceneSeedsSettings

VLLM = Path(__file__).parent / "vllm_stand_in"
MOST_PULLED = 64  # of a stream, before its first result is taken
CAPTION = "the background is pitch black and striped. there is a single object. the circle in the middle is yellow."
STRING = {"type": "string", "minLength": 1, "maxLength": 60}


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


PAIRS = {"type": "array", "items": closed(Question=STRING, Answer=STRING), "minItems": 1, "maxItems": 2}
SCHEMA = {"title": "question_answering", **closed(**{"id": STRING, "QA Pairs": PAIRS})}


def transformers(folder: Path, held: ExitStack) -> GeneratorSettings:
    return CausalLMSettings(model=tiny_chat.save(folder), batch_size=8, max_tokens=256, device="cpu")


def llamacpp(folder: Path, held: ExitStack) -> GeneratorSettings:
    model = tiny_chat.save_gguf(folder)
    return LlamaCppSettings(model=model, threads=1, parallel=4, context=tiny_chat.CONTEXT, max_tokens=256)


def vllm(folder: Path, held: ExitStack) -> GeneratorSettings:
    return VLLMSettings(model="some/model", concurrency=8, max_tokens=256)


def openai(folder: Path, held: ExitStack) -> GeneratorSettings:
    model = Model()

    def answer(request: dict[str, Any]) -> Reply:
        long = len(request["messages"][-1]["content"]) > 1000
        return Reply(status=400, body=b'{"error": {"message": "it is too long"}}') if long else model(request)

    server = held.enter_context(MockServer(answer))
    return OpenAISettings(model="some/model", endpoints=[server.address], concurrency=8)


ENGINES: dict[str, Callable[[Path, ExitStack], GeneratorSettings]] = {
    "llamacpp": llamacpp,
    "grammar": lambda folder, held: GrammarSettings(refused=0, malformed=0),
    "openai": openai,
    "transformers": transformers,
    "vllm": vllm,
}


@pytest.fixture(scope="module", params=ENGINES)
def generator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generator]:
    """Each in turn, loaded once for all tests: it can be asked again and again."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as held:
        patch.setenv("PYTHONPATH", str(VLLM), prepend=":")
        patch.syspath_prepend(VLLM)
        for key in ("HF_TOKEN", "OPENAI_API_KEY"):
            patch.setenv(key, "a-secret")
        built = ENGINES[request.param](tmp_path_factory.mktemp(request.param), held).build()
        yield built
        built.close()
        built.close()


def asks(content: str, *, id_: str = "a", schema: dict[str, Any] | None = None) -> Request:
    seed = zlib.crc32(id_.encode())
    return Request(id=id_, messages=(Message(role=Role.USER, content=content),), seed=seed, schema=schema)


def sparse(count: int) -> Iterator[Request]:
    return (asks(seed.text, id_=seed.id) for seed in SceneSeedsSettings(count=count).build())


def asks_for_json(id_: str) -> Request:
    return asks(json.dumps({"id": id_, "caption": CAPTION}), id_=id_, schema=SCHEMA)


TOO_MUCH = asks("zzz " * 1000, id_="too much")


def answers(generator: Generator, *requests: Request) -> dict[str, Result]:
    results = list(generator.generate(iter(requests)))
    assert sorted(result.id for result in results) == sorted(request.id for request in requests)
    return {result.id: result for result in results}


def test_name_is_known_before_it_is_loaded(generator: Generator) -> None:
    before, made_by = generator.name, json.dumps(generator.made_by)
    assert before
    answers(generator, *sparse(1))
    assert (generator.name, json.dumps(generator.made_by)) == (before, made_by)


def test_made_by_is_plain_and_holds_no_secret(generator: Generator) -> None:
    assert generator.made_by
    assert json.loads(json.dumps(generator.made_by)) == generator.made_by
    assert "a-secret" not in json.dumps(generator.made_by)


def test_every_request_has_one_result(generator: Generator) -> None:
    found = answers(generator, *sparse(20))
    assert all(result.error is None for result in found.values())
    assert all(result.finish_reason in ("stop", "length") for result in found.values())
    assert sum(bool(result.text) for result in found.values()) > 10


def test_json_follows_its_schema_among_answers_that_have_none(generator: Generator) -> None:
    found = answers(generator, *sparse(3), *map(asks_for_json, "bcdefg"), *sparse(0))
    bound = [found[id_] for id_ in "bcdefg" if found[id_].finish_reason != "length"]
    assert len(bound) > 3
    for result in bound:
        assert result.error is None
        Draft202012Validator(SCHEMA).validate(json.loads(result.text))


def test_what_cannot_be_asked_is_an_error_and_the_rest_is_answered(generator: Generator) -> None:
    found = answers(generator, *sparse(3), TOO_MUCH, asks_for_json("b"))
    failed = found.pop("too much")
    assert failed.error
    assert len(failed.error.splitlines()) == 1
    assert not failed.text
    assert failed.refused
    assert all(result.error is None for result in found.values())


def test_a_stream_is_pulled_as_capacity_frees(generator: Generator) -> None:
    pulled = 0

    def endless() -> Iterator[Request]:
        nonlocal pulled
        for request in sparse(10**6):
            pulled += 1
            yield request

    results = generator.generate(endless())
    first = list(islice(results, 1))
    assert len(first) == 1
    assert pulled <= MOST_PULLED
    more = list(islice(results, 20))
    assert pulled <= MOST_PULLED + len(more)


def test_a_stream_that_was_left_is_not_answered_in_the_next(generator: Generator) -> None:
    next(iter(generator.generate(sparse(10**6))))
    assert set(answers(generator, asks("a red circle", id_="b"))) == {"b"}


def test_an_empty_stream_has_no_results(generator: Generator) -> None:
    assert list(generator.generate(iter(()))) == []


def test_it_says_what_it_costs_and_how_it_does(generator: Generator) -> None:
    answers(generator, *sparse(1))
    assert isinstance(generator.health, str)
    assert generator.cost(1000, 1000) is None or generator.cost(1000, 1000) >= 0
