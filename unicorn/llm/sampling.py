"""How a language model is asked: what every generator that has one behind it is told."""

from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from unicorn.errors import UserError


@dataclass(kw_only=True)
class SamplingSettings:
    """The model and how its answers are drawn; a generator's settings derive from it."""

    model: str = MISSING  # as the server, the Hub or the disk names it
    temperature: float = 0.7
    top_p: float = 0.8
    max_tokens: int = 2048  # of an answer; one that is cut there is turned away

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise UserError(f"llm.temperature={self.temperature}: must be 0 or more.")
        if not 0 < self.top_p <= 1:
            raise UserError(f"llm.top_p={self.top_p}: must be above 0, and 1 at most.")
        if self.max_tokens < 1:
            raise UserError(f"llm.max_tokens={self.max_tokens}: must be 1 or more.")

    @property
    def sampling(self) -> dict[str, Any]:
        """What answers depend on beside the model, as plain values."""
        return {"temperature": self.temperature, "top_p": self.top_p, "max_tokens": self.max_tokens}
