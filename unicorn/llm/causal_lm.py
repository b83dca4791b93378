"""A causal language model of the Hub or of a folder, run here by transformers, a batch of requests at a time."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from unicorn.device import choose_device
from unicorn.errors import UserError, in_a_line
from unicorn.files import locate
from unicorn.llm.generator import Request, Result
from unicorn.llm.local import LocalSettings

if TYPE_CHECKING:
    from unicorn.llm.constrained import Answer


class Dtype(StrEnum):
    """The type that the model computes in."""

    auto = "auto"
    """The checkpoint's own on an accelerator; float32 on a CPU, which is slow at smaller ones."""
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


@dataclass(kw_only=True)
class CausalLMSettings(LocalSettings):
    """`model` is a folder, a name on the Hub, or `package:PACKAGE/FOLDER` for one that an installed package ships."""

    gguf_file: str | None = None
    """The file in it that holds weights and tokenizer, where they are GGUF; they are dequantised."""
    dtype: Dtype = Dtype.auto
    device: str = "auto"
    batch_size: int = 16
    """Requests that are answered together; it changes speed and memory alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_one_or_more("batch_size")

    def build(self) -> "CausalLMGenerator":
        """The generator, which loads the model when it is first asked."""
        return CausalLMGenerator(self)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request as the model reads it."""

    id: str
    seed: int
    tokens: list[int]
    schema: "Answer | None"


class CausalLMGenerator:
    """Answers batch by batch: requests are pulled as many as fit in one, and all of it is answered before the next."""

    def __init__(self, settings: CausalLMSettings) -> None:
        self._settings = settings
        self._health = ""

    @property
    def name(self) -> str:
        """The model, and the GGUF file of it."""
        return self._settings.name(self._settings.gguf_file)

    @property
    def made_by(self) -> dict[str, Any]:
        """How answers are sampled, of which revision, and in which type they are computed."""
        settings = self._settings
        return {"revision": settings.revision, "dtype": settings.dtype.value, **settings.sampling}

    @property
    def health(self) -> str:
        """The speed of the last batch."""
        return self._health

    def cost(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Nothing is paid for it."""

    def generate(self, requests: Iterable[Request]) -> Iterator[Result]:
        """One result for each request, in their order.

        A request that leaves no room for an answer, or whose schema cannot be followed, is a result with an error.
        Raises UserError where the model cannot be loaded, or a batch does not fit the memory.
        """
        requests = iter(requests)
        while batch := list(islice(requests, self._settings.batch_size)):
            read = [self._read(request) for request in batch]
            yield from (each for each in read if isinstance(each, Result))
            if prompts := [each for each in read if isinstance(each, Prompt)]:
                yield from self._answer(prompts)

    def close(self) -> None:
        """Let go of the model."""
        self.__dict__.pop("_model", None)

    @cached_property
    def _model(self) -> "Model":
        return Model(self._settings)

    def _read(self, request: Request) -> Prompt | Result:
        """The prompt of a request, or why there is none."""
        model = self._model
        messages = [{"role": message.role.value, "content": message.content} for message in request.messages]
        try:
            tokens = model.tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, sanitize_control_tokens=True
            )["input_ids"]
            schema = model.schemas.answer(request.schema) if request.schema else None
        except Exception as error:  # the template is a program of the model's author, and may raise what it likes
            return Result(id=request.id, error=in_a_line(error), refused=True)
        if model.context and len(tokens) + self._settings.max_tokens > model.context:
            return Result(
                id=request.id,
                refused=True,
                error=f"{len(tokens):,} tokens and an answer of {self._settings.max_tokens:,} do not fit the "
                f"{model.context:,} that the model reads",
            )
        return Prompt(request.id, request.seed, tokens, schema)

    def _answer(self, prompts: list[Prompt]) -> Iterator[Result]:
        import torch

        began = time.monotonic()
        try:
            answers = self._model.answer(prompts)
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"{len(prompts)} conversations at a time do not fit the memory of {self._model.device}. Set "
                f"llm.batch_size below {self._settings.batch_size}, or llm.max_tokens lower."
            ) from error
        total = sum(map(len, answers))
        self._health = f"{total / (time.monotonic() - began):,.0f} tokens/s on {self._model.device}"
        for prompt, tokens in zip(prompts, answers, strict=True):
            yield self._result(prompt, tokens)

    def _result(self, prompt: Prompt, tokens: list[int]) -> Result:
        if prompt.schema and prompt.schema.error:
            error = f"the schema cannot be followed: {prompt.schema.error}"
            return Result(id=prompt.id, error=error, refused=True)  # its seed would lead there again
        return Result(
            id=prompt.id,
            text=self._model.tokenizer.decode(
                tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
            ).strip(),
            finish_reason="stop" if tokens[-1] in self._model.ends else "length",
            prompt_tokens=len(prompt.tokens),
            completion_tokens=len(tokens),
        )


class Model:
    """A language model in memory, with its tokenizer. Raises UserError where it cannot be loaded."""

    def __init__(self, settings: CausalLMSettings) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, GgufConfig

        from unicorn.llm.constrained import Schemas

        self._settings = settings
        self.device = choose_device(settings.device)
        name = settings.dtype.value
        if settings.dtype is Dtype.auto and self.device.type == "cpu":
            name = "float32"
        source: dict[str, Any] = {"revision": settings.revision, "gguf_file": settings.gguf_file}
        folder = locate(settings.model)
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, **source)
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=name if name == "auto" else getattr(torch, name),
                quantization_config=GgufConfig(dequantize=True) if settings.gguf_file else None,
                **source,
            )
            self._model = model.eval().to(self.device)
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"llm.model={settings.model} does not fit the memory of {self.device}. Choose a smaller one, "
                "llm.dtype=bfloat16, or llm.device=cpu."
            ) from error
        except Exception as error:  # transformers' loaders are not known by what they raise on damaged files
            raise UserError(f"cannot load llm.model={settings.model}: {in_a_line(error)}. Choose another.") from error
        if not self.tokenizer.is_fast or not self.tokenizer.chat_template:
            lacking = "chat template" if self.tokenizer.is_fast else "fast version"
            raise UserError(
                f"the tokenizer of llm.model={settings.model} has no {lacking}. Choose a model that is made for chat."
            )
        self.context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        if self.context and settings.max_tokens >= self.context:
            raise UserError(
                f"llm.max_tokens={settings.max_tokens:,} leaves no room for a question in the {self.context:,} tokens "
                f"that {settings.model} reads. Set it lower."
            )
        self.ends = _ends(model.generation_config.eos_token_id, self.tokenizer.eos_token_id)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        # Of its own way to generate the model keeps the ends alone: answers are sampled as the settings say.
        model.generation_config = GenerationConfig(
            eos_token_id=self.ends, pad_token_id=self.tokenizer.pad_token_id, do_sample=False
        )
        self.schemas = Schemas(self.tokenizer, self.ends)

    def answer(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """The tokens of each answer, up to its end, which is one of them."""
        import torch

        from unicorn.llm.sampler import Sampler

        settings = self._settings
        width = max(len(prompt.tokens) for prompt in prompts)
        ids = torch.full((len(prompts), width), self.tokenizer.pad_token_id)
        read = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):  # on the left, so that all answers begin at once
            ids[row, width - len(prompt.tokens) :] = torch.tensor(prompt.tokens)
            read[row, width - len(prompt.tokens) :] = 1
        sampler = Sampler(
            [prompt.seed for prompt in prompts],
            [prompt.schema for prompt in prompts],
            temperature=settings.temperature,
            top_p=settings.top_p,
        )
        said = self._model.generate(
            input_ids=ids.to(self.device),
            attention_mask=read.to(self.device),
            max_new_tokens=settings.max_tokens,
            logits_processor=[sampler],
        )
        return [self._until_its_end(answer) for answer in said[:, width:].tolist()]

    def _until_its_end(self, tokens: list[int]) -> list[int]:
        end = next((place for place, token in enumerate(tokens) if token in self.ends), len(tokens))
        return tokens[: end + 1]


def _ends(*known: int | list[int] | None) -> list[int]:
    """The tokens that end an answer, by all that a model says of them."""
    tokens = [[each] if isinstance(each, int) else each or [] for each in known]
    return sorted({token for each in tokens for token in each})
