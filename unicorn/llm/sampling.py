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
        self.require_share("top_p")
        self.require_one_or_more("max_tokens")

    def require_one_or_more(self, *keys: str) -> None:
        """Raises UserError for one of these that is less; null is left to mean what it means."""
        for key in keys:
            if (value := getattr(self, key)) is not None and value < 1:
                raise UserError(f"llm.{key}={value} is too few: one is the least.")

    def require_share(self, key: str) -> None:
        """Raises UserError if it is none."""
        if not 0 < (value := getattr(self, key)) <= 1:
            raise UserError(f"llm.{key}={value}: must be above 0, and 1 at most.")

    @property
    def sampling(self) -> dict[str, Any]:
        """What answers depend on beside the model, as plain values."""
        return {"temperature": self.temperature, "top_p": self.top_p, "max_tokens": self.max_tokens}
