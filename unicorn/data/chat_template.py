"""Conversations as text: a chat template, and which characters of what it writes are the assistant's answers."""

import re
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from unicorn.errors import UserError
from unicorn.records import Role

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

GENERATION_MARK = re.compile(r"\{%-?\s*generation\s*-?%\}")
Span = tuple[int, int]
Turn = dict[str, str]


class Unfit(Exception):  # noqa: N818  # it is an outcome, not an error
    """A text that no sample can be made of, and why."""


class ChatTemplate:
    """The chat template of a tokeniser.

    Answers are what it marks with `{% generation %}`. Most templates mark nothing: there an answer is all that is
    added to the generation prompt, its closing token included.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerFast") -> None:
        """Raises UserError where the tokeniser has no chat template, or one that is not valid Jinja."""
        from jinja2 import TemplateSyntaxError
        from transformers.utils.chat_template_utils import render_jinja_template

        name = tokenizer.name_or_path
        if not tokenizer.chat_template:
            raise UserError(
                f"the tokenizer of {name} has no chat template. Choose an instruction-tuned model, or name one by "
                "model.chat_template."
            )
        text = tokenizer.get_chat_template()
        self._is_marked = GENERATION_MARK.search(text) is not None
        # What apply_chat_template calls; from there on it would lose an answer that ends in white space.
        self._jinja = partial(cast("Any", render_jinja_template), chat_template=text, **tokenizer.special_tokens_map)
        try:
            self._jinja([])
        except TemplateSyntaxError as error:
            fault = f"line {error.lineno}: {error}"
            raise UserError(f"the chat template of {name} is not valid Jinja: {fault}") from error

    def ask(self, turns: list[Turn]) -> str:
        """The text after which the assistant answers. Raises Unfit where the template refuses the turns."""
        return self._render(turns, add_generation_prompt=True)[0]

    def answered(self, turns: list[Turn]) -> tuple[str, list[Span]]:
        """A conversation as text, and the spans of its answers. Raises Unfit where these cannot be told."""
        if self._is_marked:
            return self._render(turns, return_assistant_tokens_mask=True)
        text, _ = self._render(turns)
        answers: list[Span] = []
        for number, turn in enumerate(turns):
            if turn["role"] == Role.ASSISTANT:
                asked = self.ask(turns[:number])
                answered, _ = self._render(turns[: number + 1])
                if not (text.startswith(answered) and answered.startswith(asked)):
                    raise Unfit(
                        "the chat template rewrites earlier turns as later ones come, so that answers cannot be told: "
                        "mark them in it with {% generation %}"
                    )
                answers.append((len(asked), len(answered.rstrip())))  # a line break after the closing token is none's
        return text, answers

    def _render(self, turns: list[Turn], **options: bool) -> tuple[str, list[Span]]:
        from jinja2 import TemplateError

        try:
            texts, spans = self._jinja([turns], **options)
        except TemplateError as error:
            raise Unfit(f"the chat template refuses it: {error}") from error
        return texts[0], spans[0] if spans else []
