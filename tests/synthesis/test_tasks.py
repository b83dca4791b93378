"""Tasks are a function of id and seed, in the given shares."""

from collections import Counter

import pytest

from unicorn.records import Task
from unicorn.synthesis.settings import SynthesisSettings, TaskShares
from unicorn.synthesis.tasks import task_of


def count(settings: SynthesisSettings, seed: int = 0, total: int = 20_000) -> Counter[Task | None]:
    return Counter(task_of(f"caption-{number}", settings, seed) for number in range(total))


def test_shares_are_those_of_the_paper() -> None:
    counts = count(SynthesisSettings())
    assert counts[Task.MULTIPLE_CHOICE] / 20_000 == pytest.approx(171 / 470, abs=0.012)
    assert counts[Task.QUESTION_ANSWERING] / 20_000 == pytest.approx(199 / 470, abs=0.012)
    assert counts[Task.COMPLEX_REASONING] / 20_000 == pytest.approx(100 / 470, abs=0.012)
    assert counts[None] == 0


def test_a_share_of_nothing_gives_nothing() -> None:
    assert count(SynthesisSettings(shares=TaskShares(multiple_choice=0)))[Task.MULTIPLE_CHOICE] == 0


def test_the_instructed_are_a_share_of_all_and_of_each_task() -> None:
    counts = count(SynthesisSettings(instructed=0.378))
    assert 1 - counts[None] / 20_000 == pytest.approx(0.378, abs=0.012)
    assert counts[Task.COMPLEX_REASONING] / (20_000 - counts[None]) == pytest.approx(100 / 470, abs=0.02)


def test_a_task_depends_on_id_and_seed_alone() -> None:
    settings = SynthesisSettings()
    ids = [f"caption-{number}" for number in range(100)]
    tasks = [task_of(id_, settings, 0) for id_ in ids]
    assert tasks == [task_of(id_, settings, 0) for id_ in reversed(ids)][::-1]
    assert tasks != [task_of(id_, settings, 1) for id_ in ids]
