"""Killed at random moments and run again until it ends, each command leaves what it leaves undisturbed."""

import random
import shutil
from pathlib import Path

import pytest

from tests.torture.conftest import Undisturbed
from tests.torture.contents import contents
from tests.torture.scripts import Scripts

# What lies in a command's folder in the middle of its work; an evaluation writes all at its end.
HALF_DONE = {"synthesize": "*/*-0000*", "align": "align/checkpoints/*.ckpt", "tune": "tune/checkpoints/*.ckpt"}


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["synthesize", "align", "tune", "evaluate"])
def test_killed_it_ends_as_if_left_alone(
    name: str, kills: int, scripts: Scripts, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    line, seconds = undisturbed.line(name, folder), undisturbed.seconds[name]

    def begin_anew() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if name == "tune":
            shutil.copytree(undisturbed.run / "align", folder / "align")

    # One kill in each of as many equal parts of the work, in any order.
    moments = random.Random(f"{name} {kills}")
    shares = [(part + moments.random()) / kills for part in moments.sample(range(kills), kills)]
    print(f"of {seconds:.2f} s, killed at", *(f"{share:.2f}" for share in shares))
    half_done = 0
    begin_anew()
    for share in shares:
        moment = share * seconds
        # What is left to do after a kill may end before the next: then that one begins anew, and a little earlier.
        while (finished := scripts.run_for(moment, line)[0]).code != -9:
            assert finished.code == 0, finished.err
            assert contents(folder) == undisturbed.left[name]
            begin_anew()
            moment *= 0.9
        half_done += name in HALF_DONE and any(folder.glob(HALF_DONE[name]))
    for _ in range(30):  # a busy machine may have shifted all of them to where nothing is half done
        if half_done or name not in HALF_DONE:
            break
        begin_anew()
        scripts.run_for(moments.random() * seconds, line)
        half_done += any(folder.glob(HALF_DONE[name]))
    finished = scripts.run(*line)
    assert finished.code == 0, finished.err
    assert contents(folder) == undisturbed.left[name]
    assert half_done or name not in HALF_DONE, "no kill found the work half done"
