"""What makes a training fit: options tried alone and together, those that change least first."""

from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from itertools import chain, combinations
from typing import Any

from unicorn.training.plan.memory import SHARDED, Case, Memory
from unicorn.training.trainer import DEEPSPEED, Strategy

Change = dict[str, Any]
"""Fields of a case, and what they become."""
OVERRIDES = {
    "rows_per_pack": "data.rows_per_pack",
    "gradient_checkpointing": "trainer.gradient_checkpointing",
    "strategy": "trainer.strategy",
    "offload": "trainer.offload",
    "load_in_4bit": "model.load_in_4bit",
    "gpus": "planning.gpus",
}
MAX_COMBINED = 4
DEVICE_FACTORS = (1, 2, 4, 8, 16)


def as_typed(change: Change) -> str:
    """A change as the command line takes it."""
    texts = {key: value.value if isinstance(value, Enum) else str(value).lower() for key, value in change.items()}
    return " ".join(f"{OVERRIDES[key]}={text}" for key, text in texts.items())


def remedy(case: Case, memory: Callable[[Case], Memory], capacity: float, *, quantizable: bool) -> Change | None:
    """The first change under which `memory` is at most `capacity`: empty if none is needed, None if none helps.

    More devices come after all that can be done with those there are. `quantizable` tells that no weight of the
    language model is trained, so that four bits may hold them.
    """
    for times in DEVICE_FACTORS:
        more = {"gpus": case.gpus * times} if times > 1 else {}
        ranked = list(enumerate(options(replace(case, **more), quantizable), start=1))
        tried = chain.from_iterable(combinations(ranked, number) for number in range(MAX_COMBINED + 1))
        for choice in sorted(tried, key=lambda choice: sorted((rank for rank, _ in choice), reverse=True)):
            chosen = [option for _, option in choice]
            change = more | {key: value for option in chosen for key, value in option.items()}
            changed = replace(case, **change)
            if len(change) < len(more) + sum(map(len, chosen)) or _unsupported(changed):
                continue  # two options for one key
            if memory(changed).total <= capacity:
                return change
    return None


def options(case: Case, quantizable: bool) -> list[Change]:
    """What can be changed, what changes least first."""
    found: list[Change] = []
    if case.rows_per_pack > 1:
        found.append({"rows_per_pack": 1})
    if not case.gradient_checkpointing:
        found.append({"gradient_checkpointing": True})
    sharding = [Strategy.zero2, Strategy.zero3] if case.gpus > 1 else [Strategy.zero2]
    if case.gpus > 1:
        found += [{"strategy": strategy} for strategy in sharding if strategy is not case.strategy]
    if quantizable and not case.load_in_4bit:
        found.append({"load_in_4bit": True})
    if not case.offload:
        found += [{"strategy": strategy, "offload": True} for strategy in sharding if strategy is not case.strategy]
        found += [{"offload": True}] if case.strategy in DEEPSPEED else []
    return found


def _unsupported(case: Case) -> bool:
    """Weights of four bits in shards, and an offload that the strategy does not know."""
    return (case.load_in_4bit and case.strategy in SHARDED) or (case.offload and case.strategy not in DEEPSPEED)
