"""What a stage has taken of whatever answers: answers, tokens, money, time."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Usage:
    """The answers of a stage, the tokens they took as the model counts them, what they cost, and the seconds.

    `cost` is in the currency of the price that was given, None where none was.
    """

    stage: str
    answers: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    seconds: float
