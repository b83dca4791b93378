"""Killed at random moments and run again until it ends, each command leaves what it leaves undisturbed.

Of two ranks one is killed, or both: none is left behind, and where the first is left it says what happened.
"""

import random
import re
from pathlib import Path

import pytest

from tests.torture.conftest import Undisturbed
from tests.torture.contents import contents
from tests.torture.scripts import Finished, Scripts, both_ranks, only_rank, second_rank

# What lies in a command's folder in the middle of its work; an evaluation writes all at its end.
HALF_DONE = {
    "synthesize": "*/*-0000*",
    "served": "*/*-0000*",
    "align": "align/checkpoints/*.ckpt",
    "tune": "tune/checkpoints/*.ckpt",
    "lora": "tune/checkpoints/*.ckpt",
    "ranks": "tune/checkpoints/*.ckpt",
}
WHOM = {"ranks": (only_rank, second_rank, both_ranks)}
LOST = r"(\w+: .*\n)*error: rank 1 was ended by SIGKILL, .*\n"


def was_killed(finished: Finished) -> bool:
    """Whether a command has ended of a kill, its own or that of its second rank."""
    return finished.code == -9 or (finished.code == 2 and re.fullmatch(LOST, finished.err) is not None)


@pytest.mark.parametrize(
    ("name", "kills"),
    [
        *(("synthesize", 3), ("served", 3), ("align", 3), ("lora", 2), ("ranks", 2), ("evaluate", 3)),
        *(pytest.param(name, 20, marks=pytest.mark.slow) for name in (*HALF_DONE, "evaluate") if name != "served"),
        pytest.param("served", 50, marks=pytest.mark.slow),
    ],
)
def test_killed_it_ends_as_if_left_alone(
    name: str, kills: int, scripts: Scripts, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    line, made = undisturbed.line(name, folder), undisturbed.of(name)
    # One kill in each of as many equal parts of the work, in any order.
    moments = random.Random(f"{name} {kills}")
    shares = [(part + moments.random()) / kills for part in moments.sample(range(kills), kills)]
    print(f"of {made.seconds:.2f} s, killed at", *(f"{share:.2f}" for share in shares))
    killed = WHOM.get(name, (only_rank,))
    half_done = 0
    undisturbed.begin(name, folder)
    for share in shares:
        moment = share * made.seconds
        whom = killed[int(share * kills) % len(killed)]
        # What is left to do after a kill may end before the next: then that one begins anew, and a little earlier.
        while not was_killed(finished := scripts.run_for(moment, line, whom)[0]):
            assert finished.code == 0, finished.err
            assert contents(folder) == made.left
            undisturbed.begin(name, folder)
            moment *= 0.9
        half_done += name in HALF_DONE and any(folder.glob(HALF_DONE[name]))
    for _ in range(30):  # a busy machine may have shifted all of them to where nothing is half done
        if half_done or name not in HALF_DONE:
            break
        undisturbed.begin(name, folder)
        scripts.run_for(moments.random() * made.seconds, line)
        half_done += any(folder.glob(HALF_DONE[name]))
    finished = scripts.run(*line)
    assert finished.code == 0, finished.err
    assert contents(folder) == made.left
    assert half_done or name not in HALF_DONE, "no kill found the work half done"
