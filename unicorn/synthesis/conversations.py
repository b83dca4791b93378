"""From questions and answers to a conversation: user and assistant take turns."""

import random
from collections.abc import Sequence

from unicorn.records import Message, Role
from unicorn.synthesis.parsing import LETTERS, Pair


def conversation(pairs: Sequence[Pair], rng: random.Random) -> tuple[Message, ...]:
    """Two messages a pair. Options are shuffled by `rng`, so that no letter is right more often."""
    messages: list[Message] = []
    for pair in pairs:
        question, answer = _with_options(pair, rng) if pair.options else (pair.question, pair.answer)
        messages.append(Message(role=Role.USER, content=question))
        messages.append(Message(role=Role.ASSISTANT, content=answer))
    return tuple(messages)


def _with_options(pair: Pair, rng: random.Random) -> tuple[str, str]:
    """The question with its options in lines of their own, and the letter of the right one."""
    options = rng.sample(pair.options, len(pair.options))
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True)]
    return "\n".join([pair.question, *lines]), LETTERS[options.index(pair.answer)]
