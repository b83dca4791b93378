"""What the language model reads and is taught: plain captions, and conversations in its own chat template."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np
from jaxtyping import Bool, Int32

from unicorn.data.chat_template import ChatTemplate, Span, Turn, Unfit
from unicorn.errors import UserError
from unicorn.records import Message, Role

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Token ids, and which of them the model is taught to say."""

    input_ids: Int32[np.ndarray, " length"]
    supervised: Bool[np.ndarray, " length"]


class ConversationTokenizer:
    """Text to samples: an image fills `visual_tokens` tokens, and what the assistant says is supervised.

    The tokeniser knows the placeholder as its `image_token`, as those of other vision-language models do. What no
    sample can be made of comes out as an Unfit in its place. So does a text that holds a special token: the
    tokeniser would take it for the control token itself, and a turn would end where none does.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerFast", visual_tokens: int) -> None:
        self.tokenizer = tokenizer
        self.visual_tokens = visual_tokens
        self.image_token = cast("str", tokenizer.image_token)
        self.image_token_id = cast("int", tokenizer.image_token_id)

    def captions(self, texts: Sequence[str]) -> list[Sample | Unfit]:
        """The plain form of the align stage: an image, then its caption, all of which is supervised."""
        bos = cast("int | None", self.tokenizer.bos_token_id)
        eos = cast("int", self.tokenizer.eos_token_id)
        before = ([] if bos is None else [bos]) + [self.image_token_id] * self.visual_tokens
        encoded = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        samples: list[Sample | Unfit] = []
        for text, caption in zip(texts, encoded, strict=True):
            if found := self._special.search(text):
                samples.append(Unfit(f"it contains {found[0]}, a special token"))
                continue
            supervised = np.arange(len(before) + len(caption) + 1) >= len(before)
            samples.append(Sample(input_ids=np.array([*before, *caption, eos], np.int32), supervised=supervised))
        return samples

    def conversations(self, conversations: Sequence[Sequence[Message]]) -> list[Sample | Unfit]:
        """The form of the tune stage: chat template, image before the first question, answers supervised.

        Raises UserError where there is no chat template that can be read.
        """
        rendered = [self._rendered(messages) for messages in conversations]
        texts = [each[0] for each in rendered if not isinstance(each, Unfit)]
        if not texts:
            return [each for each in rendered if isinstance(each, Unfit)]
        encoded = self.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
        tokens = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        return [each if isinstance(each, Unfit) else self._sample(*next(tokens), each[1]) for each in rendered]

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The token ids that ask the model for its next answer about an image.

        Raises UserError where it cannot be asked in this form.
        """
        try:
            text = self._template.ask(self._turns(messages))
        except Unfit as unfit:
            raise UserError(f"the model cannot be asked {messages[-1].content!r}: {unfit}. Leave it out.") from unfit
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return self._sample(encoded["input_ids"], encoded["offset_mapping"], []).input_ids.tolist()

    def _rendered(self, messages: Sequence[Message]) -> tuple[str, list[Span]] | Unfit:
        try:
            return self._template.answered(self._turns(messages))
        except Unfit as unfit:
            return unfit

    def _turns(self, messages: Sequence[Message]) -> list[Turn]:
        """What templates read, the image before the first question unless a turn says where it is.

        White space around a turn would melt with the template's into tokens that are half an answer, and is left out.
        """
        turns = [{"role": message.role.value, "content": message.content.strip()} for message in messages]
        for number, turn in enumerate(turns, start=1):
            text = turn["content"].replace(self.image_token, "")
            if found := self._special.search(text):
                raise Unfit(f"turn {number} contains {found[0]}, a special token")
            if turn["role"] == Role.ASSISTANT and not turn["content"]:
                raise Unfit(f"turn {number} is an empty answer")
        roles = [turn["role"] for turn in turns]
        if Role.USER not in roles:
            raise Unfit("no question")
        shown = [number for number, turn in enumerate(turns) for _ in range(turn["content"].count(self.image_token))]
        if len(shown) > 1:
            raise Unfit(f"{len(shown)} images where one belongs")
        if not shown:
            first = roles.index(Role.USER)
            turns[first]["content"] = f"{self.image_token}\n{turns[first]['content']}"
            shown = [first]
        if Role.ASSISTANT in roles[: shown[0] + 1]:
            raise Unfit("an answer comes before the image, or holds it")
        return turns

    @cached_property
    def _special(self) -> re.Pattern[str]:
        """Finds what the tokeniser would take for a special token."""
        added = self.tokenizer.added_tokens_decoder.values()
        longest_first = sorted((token.content for token in added if token.special), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)))

    @cached_property
    def _template(self) -> ChatTemplate:
        return ChatTemplate(self.tokenizer)

    def _sample(self, ids: Sequence[int], offsets: Sequence[Span], answers: Sequence[Span]) -> Sample:
        """Image tokens repeated, tokens that begin in an answer supervised."""
        input_ids = np.array(ids, np.int32)
        starts = np.array(offsets, np.int64).reshape(-1, 2)[:, 0]
        supervised = np.zeros(len(input_ids), bool)
        for first, last in answers:
            supervised |= (first <= starts) & (starts < last)
        repeats = np.where(input_ids == self.image_token_id, self.visual_tokens, 1)
        return Sample(input_ids=input_ids.repeat(repeats), supervised=supervised.repeat(repeats))
