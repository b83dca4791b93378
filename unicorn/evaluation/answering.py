"""A model's answers to questions about image vectors."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unicorn.data.conversation import ConversationTokenizer
from unicorn.device import choose_device
from unicorn.records import Message, Role
from unicorn.report.progress import track

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from unicorn.model.modeling import UnicornForConditionalGeneration


class Answerer(Protocol):
    """Anything that answers questions about image vectors as the projector expects them."""

    def answer(self, questions: Sequence[str], vectors: Float[np.ndarray, "n d"]) -> list[str]:
        """One answer for each question, about the vector of the same row."""
        ...


class ModelAnswerer:
    """The greedy answers of a model, in batches of questions of like length."""

    def __init__(
        self,
        model: "UnicornForConditionalGeneration",
        tokenizer: "PreTrainedTokenizerFast",
        *,
        batch_size: int,
        max_new_tokens: int,
        device: str = "auto",
    ) -> None:
        from transformers import GenerationConfig

        self._device = choose_device(device)
        model.to(self._device)  # pyright: ignore[reportArgumentType]
        # transformers types `generate` for its own classes only.
        self._generate_tokens = cast("Callable[..., Tensor]", cast("Any", model).generate)
        self._tokenizer = tokenizer
        self._conversation = ConversationTokenizer(tokenizer, model.config.visual_tokens)
        self._batch_size = batch_size
        self._greedy = GenerationConfig(
            do_sample=False,
            max_new_tokens=max_new_tokens,
            eos_token_id=model.generation_config.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )

    @torch.inference_mode()
    def answer(self, questions: Sequence[str], vectors: Float[np.ndarray, "n d"]) -> list[str]:
        """One answer for each question, about the vector of the same row."""
        prompts = {question: self._prompt(question) for question in dict.fromkeys(questions)}
        order = sorted(range(len(questions)), key=lambda row: len(prompts[questions[row]]))
        answers = [""] * len(questions)
        for rows in track(self._batches(order), "answers", total=len(order)):
            given = self._generate([prompts[questions[row]] for row in rows], vectors[rows])
            for row, answer in zip(rows, given, strict=True):
                answers[row] = answer
        return answers

    def _prompt(self, question: str) -> list[int]:
        return self._conversation.prompt([Message(role=Role.USER, content=question)])

    def _batches(self, order: list[int]) -> Iterator[list[int]]:
        for start in range(0, len(order), self._batch_size):
            yield order[start : start + self._batch_size]

    def _generate(self, prompts: list[list[int]], vectors: Float[np.ndarray, "n d"]) -> list[str]:
        """Prompts are padded on the left, so that every answer begins in the same column."""
        longest = max(len(prompt) for prompt in prompts)
        padding = [longest - len(prompt) for prompt in prompts]
        pad = self._tokenizer.pad_token_id
        input_ids = torch.tensor([[pad] * gap + ids for gap, ids in zip(padding, prompts, strict=True)])
        attention_mask = torch.arange(longest) >= torch.tensor(padding).unsqueeze(1)
        generated = self._generate_tokens(
            input_ids=input_ids.to(self._device),
            attention_mask=attention_mask.long().to(self._device),
            image_embeds=torch.from_numpy(vectors).to(self._device),
            generation_config=self._greedy,
        )
        answers = self._tokenizer.batch_decode(generated[:, longest:], skip_special_tokens=True)
        return [answer.strip() for answer in answers]
