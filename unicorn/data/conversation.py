"""What the language model reads and is taught: plain captions, and conversations in its own chat template."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from unicorn.errors import UserError
from unicorn.records import Message, Role

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Token ids, and which of them the model is taught to say."""

    input_ids: list[int]
    supervised: list[bool]


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
                input_ids=[*before, *caption, eos],
                supervised=[False] * len(before) + [True] * (len(caption) + 1),
            )
            for caption in encoded
        ]

    def conversations(self, conversations: Sequence[Sequence[Message]]) -> list[Sample]:
        """The form of the tune stage: chat template, an image before the first question, answers supervised.

        An answer is all that the template adds to its own generation prompt, a closing token included. Raises
        UserError where there is no chat template, or one that writes earlier turns anew as later ones come.
        """
        rendered = [self._render_with_answers(self._with_image(messages)) for messages in conversations]
        encoded = self.tokenizer([text for text, _ in rendered], add_special_tokens=False, return_offsets_mapping=True)
        samples = zip(encoded["input_ids"], encoded["offset_mapping"], rendered, strict=True)
        return [self._sample(ids, offsets, answers) for ids, offsets, (_, answers) in samples]

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The token ids that ask the model for its next answer about an image."""
        text = self._render(self._with_image(messages), ask=True)
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return self._sample(ids, [(0, 0)] * len(ids), []).input_ids

    def _render(self, messages: Sequence[Message], *, ask: bool) -> str:
        if not self.tokenizer.chat_template:
            raise UserError(
                f"the tokenizer of {self.tokenizer.name_or_path} has no chat template. "
                "Choose an instruction-tuned model."
            )
        turns = [{"role": message.role.value, "content": message.content} for message in messages]
        text = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=ask)
        return cast("str", text)

    def _render_with_answers(self, messages: Sequence[Message]) -> tuple[str, list[tuple[int, int]]]:
        """The whole conversation as text, and the character spans of its answers."""
        text = self._render(messages, ask=False)
        answers: list[tuple[int, int]] = []
        for turn, message in enumerate(messages):
            if message.role is Role.ASSISTANT:
                asked = self._render(messages[:turn], ask=True)
                answered = self._render(messages[: turn + 1], ask=False)
                if not (text.startswith(answered) and answered.startswith(asked)):
                    raise UserError(
                        f"the chat template of {self.tokenizer.name_or_path} writes earlier turns anew as "
                        "later ones come: answers cannot be told from questions. Give it one that appends."
                    )
                answers.append((len(asked), len(answered)))
        return text, answers

    def _sample(
        self, ids: Sequence[int], offsets: Sequence[tuple[int, int]], answers: Sequence[tuple[int, int]]
    ) -> Sample:
        """Image tokens repeated, tokens that begin in an answer supervised."""
        input_ids: list[int] = []
        supervised: list[bool] = []
        for token, (start, _) in zip(ids, offsets, strict=True):
            repeats = self.visual_tokens if token == self.image_token_id else 1
            input_ids += [token] * repeats
            supervised += [any(first <= start < last for first, last in answers)] * repeats
        return Sample(input_ids=input_ids, supervised=supervised)

    def _with_image(self, messages: Sequence[Message]) -> list[Message]:
        """The conversation with the image before its first question, unless it says where the image is."""
        if any(self.image_token in message.content for message in messages):
            return list(messages)
        first = next(turn for turn, message in enumerate(messages) if message.role is Role.USER)
        asked = Message(role=Role.USER, content=f"{self.image_token}\n{messages[first].content}")
        return [*messages[:first], asked, *messages[first + 1 :]]
