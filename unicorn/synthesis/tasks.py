"""Which captions get an instruction, and of which task: a function of the caption's id."""

from itertools import accumulate

from unicorn.records import Task
from unicorn.synthesis.keyed import keyed_random
from unicorn.synthesis.settings import SynthesisSettings


def task_of(caption_id: str, settings: SynthesisSettings, seed: int) -> Task | None:
    """The task of a caption, None for one that gets no instruction; shares as in `settings`."""
    rng = keyed_random(seed, "task", caption_id)
    if rng.random() >= settings.instructed:
        return None
    shares = [getattr(settings.shares, task.value) for task in Task]
    return rng.choices(list(Task), cum_weights=list(accumulate(shares)))[0]
