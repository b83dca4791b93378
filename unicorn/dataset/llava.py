r"""The LLaVA form of a record, in which the data of the paper is published, and what it is here.

    {"id": "0010278167", "caption": "...", "conversations": [{"from": "human", "value": "<image>\nWhat is this?"},
                                                             {"from": "gpt", "value": "..."}]}

What is written has a little more in it (domain, generator, prompt_version, task), which other readers pass over, and by
which a dataset comes back as it was.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from unicorn.records import Caption, Instruction, Message, Role, Task

IMAGE = "<image>"
ASKED_FOR_A_CAPTION = "Describe the image in detail."
REASONED_WORDS = 25
"""Words of an answer, on average over a conversation, from which on it is taken for complex reasoning."""

SPEAKERS = {"human": Role.USER, "gpt": Role.ASSISTANT}
NAMES = {role: name for name, role in SPEAKERS.items()}

_OPTIONS = re.compile(r"(?:^|\s)\(?([A-D])[.):]\s")
_LETTER = re.compile(r"\(?([A-D])(?:[.):]|\s*$)")


class Reason(StrEnum):
    """Why a record, or its conversation, is turned away."""

    NO_OBJECT = "not a JSON object"
    NO_ID = "no id"
    NO_CAPTION = "no caption, and none under its id before"
    OTHER_CAPTION = "another caption under the same id"
    REPEATED = "repeats an earlier record"
    NO_TURNS = "conversations are no list of from and value"
    NO_ALTERNATION = "human and gpt do not take turns"
    EMPTY_TURN = "an empty turn"


class Unreadable(Exception):  # noqa: N818  # it is an outcome, not an error
    """What cannot be read, and why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class LlavaRecord:
    """A record as far as its caption is concerned; `values` are all of it. Without a caption it is another's."""

    id: str
    caption: str | None
    values: dict[str, Any]

    @classmethod
    def of(cls, values: Any) -> Self:
        """The record of what JSON held. Whole numbers are ids, too. Raises Unreadable."""
        if not isinstance(values, dict):
            raise Unreadable(Reason.NO_OBJECT)
        name, caption = values.get("id"), values.get("caption")
        if isinstance(name, bool) or not isinstance(name, (str, int)) or not str(name).strip():
            raise Unreadable(Reason.NO_ID)
        if caption is not None and not (isinstance(caption, str) and caption.strip()):
            raise Unreadable(Reason.NO_CAPTION)
        return cls(id=str(name), caption=caption and caption.strip(), values=values)

    def to_caption(self, text: str, domain: str) -> Caption:
        """The caption; `domain` is that of records that name none."""
        return Caption(
            id=self.id,
            text=text,
            domain=self._text("domain") or domain,
            generator=self._text("generator"),
            prompt_version=self._text("prompt_version"),
        )

    def _text(self, key: str) -> str:
        value = self.values.get(key)
        return value if isinstance(value, str) else ""

    @property
    def task(self) -> Task | None:
        """The task that the record names."""
        return Task(name) if (name := self._text("task")) in set(Task) else None

    @property
    def turns(self) -> Sequence[tuple[Role, str]]:
        """Who says what, placeholders of images left out of the questions; none if it tells its caption and no more.

        Raises Unreadable if human and gpt do not take turns, or one says nothing.
        """
        said = self.values.get("conversations", [])
        if not isinstance(said, list) or not all(_is_turn(turn) for turn in said):
            raise Unreadable(Reason.NO_TURNS)
        turns = [(SPEAKERS.get(turn["from"]), turn["value"].strip()) for turn in said]
        if len(turns) == 2 and turns[1] == (Role.ASSISTANT, self.caption):
            return []
        if [role for role, _ in turns] != [Role.USER, Role.ASSISTANT] * (len(turns) // 2):
            raise Unreadable(Reason.NO_ALTERNATION)
        read = [(role, text.replace(IMAGE, "").strip() if role is Role.USER else text) for role, text in turns if role]
        if not all(text for _, text in read):
            raise Unreadable(Reason.EMPTY_TURN)
        return read


def _is_turn(turn: Any) -> bool:
    return isinstance(turn, dict) and isinstance(turn.get("from"), str) and isinstance(turn.get("value"), str)


def guess_task(messages: Sequence[Message]) -> Task:
    """The task of a conversation that names none.

    Multiple choice: every question lists the options A and B at least, and every answer is, or begins with, a letter of
    them. Complex reasoning: the answers have 25 words or more on average. Question answering: all the rest.
    """
    questions = [message.content for message in messages if message.role is Role.USER]
    answers = [message.content for message in messages if message.role is Role.ASSISTANT]
    if all(_chooses(question, answer) for question, answer in zip(questions, answers, strict=True)):
        return Task.MULTIPLE_CHOICE
    words = sum(len(answer.split()) for answer in answers) / len(answers)
    return Task.COMPLEX_REASONING if words >= REASONED_WORDS else Task.QUESTION_ANSWERING


def _chooses(question: str, answer: str) -> bool:
    options, letter = set(_OPTIONS.findall(question)), _LETTER.match(answer)
    return {"A", "B"} <= options and letter is not None and letter[1] in options


def caption_values(caption: Caption) -> dict[str, Any]:
    """A caption as a record: the form of the paper's first stage, an answer to one question."""
    asked = [("human", f"{IMAGE}\n{ASKED_FOR_A_CAPTION}"), ("gpt", caption.text)]
    return {
        "id": caption.id,
        "caption": caption.text,
        "domain": caption.domain,
        "generator": caption.generator,
        "prompt_version": caption.prompt_version,
        "conversations": [{"from": name, "value": text} for name, text in asked],
    }


def instruction_values(instruction: Instruction, caption: str) -> dict[str, Any]:
    """An instruction as a record, under its caption's id; the image stands before the first question."""
    turns = [{"from": NAMES[message.role], "value": message.content} for message in instruction.messages]
    turns[0]["value"] = f"{IMAGE}\n{turns[0]['value']}"
    return {"id": instruction.caption_id, "caption": caption, "task": instruction.task, "conversations": turns}
