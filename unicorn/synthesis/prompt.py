"""Prompts: one text file each in prompts/, versioned by their content."""

from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from typing import Self

import xxhash

from unicorn.records import Message, Role
from unicorn.synthesis.settings import SynthesisSettings

_FOLDER = Path(__file__).parent / "prompts"


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """An instruction to a language model. `version` names the file and changes with any letter of it."""

    version: str
    instruction: str

    @classmethod
    def load(cls, name: str, settings: SynthesisSettings) -> Self:
        """The prompt `prompts/<name>.txt`; `$key` in it stands for a value of the settings."""
        text = (_FOLDER / f"{name}.txt").read_text(encoding="utf-8")
        return cls(
            version=f"{name}-{xxhash.xxh3_64_hexdigest(text.encode())[:8]}",
            instruction=Template(text).substitute(asdict(settings)),
        )

    def messages(self, content: str) -> tuple[Message, ...]:
        """The conversation that asks for this to be done to `content`.

        The instruction is the system's and the same in every request, so that servers can cache it.
        """
        return (
            Message(role=Role.SYSTEM, content=self.instruction),
            Message(role=Role.USER, content=content),
        )
