"""What a stage has taken of a generator."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Answers and tokens of the whole part as it is now; `cost` in dollars, None where there is no price.

    `seconds` are of this run alone: a dataset keeps nothing that depends on the clock.
    """

    stage: str
    answers: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    seconds: float
