"""What the language model reads and is taught: plain captions, and conversations in its own chat template."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from jaxtyping import Bool, Int32

from unicorn.errors import UserError
from unicorn.records import Message, Role

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

GENERATION_MARK = re.compile(r"\{%-?\s*generation\s*-?%\}")
Span = tuple[int, int]
Turn = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Token ids, and which of them the model is taught to say."""

    input_ids: Int32[np.ndarray, " length"]
    supervised: Bool[np.ndarray, " length"]


class ConversationTokenizer:
    """Text to samples: an image fills `visual_tokens` tokens, and what the assistant says is supervised.

    The tokeniser knows the placeholder as its `image_token`, as those of other vision-language models do.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerFast", visual_tokens: int) -> None:
        self.tokenizer = tokenizer
        self.visual_tokens = visual_tokens
        self.image_token = cast("str", tokenizer.image_token)
        self.image_token_id = cast("int", tokenizer.image_token_id)

    def captions(self, texts: Sequence[str]) -> list[Sample]:
        """The plain form of the align stage: an image, then its caption, all of which is supervised."""
        bos = cast("int | None", self.tokenizer.bos_token_id)
        eos = cast("int", self.tokenizer.eos_token_id)
        before = ([] if bos is None else [bos]) + [self.image_token_id] * self.visual_tokens
        encoded = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return [
            Sample(
                input_ids=np.array([*before, *caption, eos], np.int32),
                supervised=np.arange(len(before) + len(caption) + 1) >= len(before),
            )
            for caption in encoded
        ]

    def conversations(self, conversations: Sequence[Sequence[Message]]) -> list[Sample]:
        """The form of the tune stage: chat template, image before the first question, answers supervised.

        Answers are what the template marks with `{% generation %}`. Most templates mark nothing: there an
        answer is all that is added to the generation prompt, its closing token included. Raises UserError
        where there is no chat template, or one without marks that rewrites earlier turns as later ones come.
        """
        turns = [self._turns(messages) for messages in conversations]
        rendered = self._marked(turns) if self._is_marked else [self._appended(chat) for chat in turns]
        texts = [text for text, _ in rendered]
        encoded = self.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
        samples = zip(encoded["input_ids"], encoded["offset_mapping"], rendered, strict=True)
        return [self._sample(ids, offsets, answers) for ids, offsets, (_, answers) in samples]

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The token ids that ask the model for its next answer about an image."""
        text = self._render(self._turns(messages), ask=True)
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return self._sample(encoded["input_ids"], encoded["offset_mapping"], []).input_ids.tolist()

    def _turns(self, messages: Sequence[Message]) -> list[Turn]:
        """What templates read, the image before the first question unless a turn says where it is."""
        turns = [{"role": message.role.value, "content": message.content} for message in messages]
        if not any(self.image_token in turn["content"] for turn in turns):
            first = next(turn for turn in turns if turn["role"] == Role.USER)
            first["content"] = f"{self.image_token}\n{first['content']}"
        return turns

    @cached_property
    def _template(self) -> str:
        if not self.tokenizer.chat_template:
            name = self.tokenizer.name_or_path
            raise UserError(f"the tokenizer of {name} has no chat template. Choose an instruction-tuned model.")
        return self.tokenizer.get_chat_template()

    @property
    def _is_marked(self) -> bool:
        return GENERATION_MARK.search(self._template) is not None

    def _render(self, turns: list[Turn], *, ask: bool) -> str:
        text = self.tokenizer.apply_chat_template(
            turns, chat_template=self._template, tokenize=False, add_generation_prompt=ask
        )
        return cast("str", text)

    def _marked(self, conversations: list[list[Turn]]) -> list[tuple[str, list[Span]]]:
        """Conversations as text, and the spans between their generation marks."""
        from transformers.utils.chat_template_utils import render_jinja_template

        # What apply_chat_template calls; from there on it would lose an answer that ends in white space.
        rendered, answers = cast("Any", render_jinja_template)(
            conversations,
            chat_template=self._template,
            return_assistant_tokens_mask=True,
            **self.tokenizer.special_tokens_map,
        )
        return list(zip(rendered, answers, strict=True))

    def _appended(self, turns: list[Turn]) -> tuple[str, list[Span]]:
        """A conversation as text, and the spans that each answer added to what asked for it."""
        text = self._render(turns, ask=False)
        answers: list[Span] = []
        for number, turn in enumerate(turns):
            if turn["role"] == Role.ASSISTANT:
                asked = self._render(turns[:number], ask=True)
                answered = self._render(turns[: number + 1], ask=False)
                if not (text.startswith(answered) and answered.startswith(asked)):
                    raise UserError(
                        f"the chat template of {self.tokenizer.name_or_path} rewrites earlier turns as later ones "
                        "come, so that answers cannot be told: mark them in it with {% generation %}."
                    )
                answers.append((len(asked), len(answered)))
        return text, answers

    def _sample(self, ids: Sequence[int], offsets: Sequence[Span], answers: Sequence[Span]) -> Sample:
        """Image tokens repeated, tokens that begin in an answer supervised."""
        input_ids = np.array(ids, np.int32)
        starts = np.array(offsets, np.int64).reshape(-1, 2)[:, 0]
        supervised = np.zeros(len(input_ids), bool)
        for first, last in answers:
            supervised |= (first <= starts) & (starts < last)
        repeats = np.where(input_ids == self.image_token_id, self.visual_tokens, 1)
        return Sample(input_ids=input_ids.repeat(repeats), supervised=supervised.repeat(repeats))
