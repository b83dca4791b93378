"""Two ranks end together, and of what ends them one line is left."""

import re
from pathlib import Path

import pytest

from tests.torture.conftest import TWO_RANKS, Undisturbed
from tests.torture.scripts import Scripts

MISTAKEN = r"error: the second rank is mistaken\.\n"
ALL_MISTAKEN = r"error: all ranks are mistaken\.\n"
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        (
            "killed",
            2,
            r"error: rank 1 was ended by SIGKILL, as by a system that is short of memory, and the other ranks with "
            r"it\. Run the same command again to go on from the last checkpoint\.\n",
        ),
        pytest.param("killed_and_told", 2, r"error: rank 1 was ended by SIGKILL, .*\n", marks=SLOW),
        ("mistaken", 2, MISTAKEN),
        pytest.param("mistaken_and_told", 2, MISTAKEN, marks=SLOW),
        pytest.param("first_mistaken", 2, ALL_MISTAKEN, marks=SLOW),
        ("all_mistaken", 2, ALL_MISTAKEN),
        pytest.param("wrong", 1, r"Error executing job .*\nTraceback .*\n(  .*\n)+ZeroDivisionError\n", marks=SLOW),
    ],
)
def test_two_ranks_end_with_one_word(how: str, code: int, said: str, scripts: Scripts, tmp_path: Path) -> None:
    finished = scripts.run_ranks("tests/torture/pair.py", f"name={how}", f"run={tmp_path}", *TWO_RANKS)
    assert re.fullmatch(said, finished.err), finished.err
    assert finished.code == code


def test_ranks_that_have_parted_end_each_by_itself(scripts: Scripts, tmp_path: Path) -> None:
    finished = scripts.run_ranks("tests/torture/pair.py", "name=parted", f"run={tmp_path}", *TWO_RANKS)
    assert finished.code == 0, finished.err


@SLOW
def test_a_mistake_of_all_ranks_is_one_line_about_all_of_them(
    scripts: Scripts, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    ruinous = ("align.batch=20", "align.learning_rate=1e30", "align.epochs=1")
    finished = scripts.run_ranks(*undisturbed.line("align", tmp_path), *TWO_RANKS, *ruinous)
    assert finished.code == 2
    assert re.fullmatch(
        r"error: the \w+ of align step [23] is not finite\. Its samples: .* and 12 more\. .*\n", finished.err
    )
