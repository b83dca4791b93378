"""What passes between the stages: seeds -> captions -> instructions, and what was turned away.

Ids are strings that stay the same when a stage is run again; they are never positions.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

IGNORED = -100
"""The label of a token that is not supervised, between batches and model, as PyTorch and transformers know it."""


class Task(StrEnum):
    """The three kinds of instruction data (arXiv 2503.22655, stage 2)."""

    MULTIPLE_CHOICE = "multiple_choice"
    QUESTION_ANSWERING = "question_answering"
    COMPLEX_REASONING = "complex_reasoning"


class Role(StrEnum):
    """Who speaks in a conversation, in the words of the chat templates."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The message of a `{"role", "content"}` mapping, the form that chat templates read."""
        return cls(role=Role(values["role"]), content=values["content"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A sparse caption that a dense one grows from. `domain` is "open" or the name of a domain."""

    id: str
    text: str
    source: str
    domain: str = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """A dense caption; its id and domain are its seed's."""

    id: str
    text: str
    domain: str
    generator: str
    prompt_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """A conversation about the picture that a caption describes; user and assistant take turns."""

    id: str
    caption_id: str
    task: Task
    messages: tuple[Message, ...]

    def to_dict(self) -> dict[str, Any]:
        """The instruction as plain values, `messages` as a list of `{"role", "content"}`."""
        return {
            "id": self.id,
            "caption_id": self.caption_id,
            "task": self.task,
            "messages": [{"role": message.role, "content": message.content} for message in self.messages],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        return cls(
            id=values["id"],
            caption_id=values["caption_id"],
            task=Task(values["task"]),
            messages=tuple(Message.from_dict(message) for message in values["messages"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """An item that a stage gave up on: why, after how many attempts, and the last raw answer."""

    id: str
    stage: str
    reason: str
    attempts: int
    answer: str
