"""The command beside a server: what a dataset made with its answers says, and what Ctrl-C does to it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from bench.mock_server import MockServer, Model
from tests.synthesis.stand_ins import files_of
from unicorn.dataset.manifest import Manifest, Part

ROOT = Path(__file__).parents[2]
KEY = "sk-very-secret"
SEEDS = 200


def command(folder: Path, server: MockServer, *overrides: str) -> list[str]:
    """`python synthesize.py` of captions from a server, into a folder's `data`."""
    seeds = folder / "seeds.jsonl"
    if not seeds.exists():
        seeds.write_bytes(b"".join(orjson.dumps({"text": f"thing number {n}"}) + b"\n" for n in range(SEEDS)))
    return [
        *(sys.executable, "synthesize.py", "experiment=none", f"dataset={folder / 'data'}", "stages=[captions]"),
        *("seeds=files", f"seeds.path={seeds}", "llm=openai", "llm.model=mock", f"llm.endpoints=[{server.address}]"),
        *("llm.concurrency=16", *overrides),
    ]


def start(line: list[str]) -> "subprocess.Popen[str]":
    """The command as a process; its own group, as a terminal would make one."""
    environment = os.environ | {"OPENAI_API_KEY": KEY}
    return subprocess.Popen(line, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def captions(folder: Path) -> int:
    return Manifest.load(folder / "data").parts[Part.CAPTIONS].rows


def test_a_price_is_shown_and_no_key_is_in_any_file_or_line(tmp_path: Path) -> None:
    with MockServer(Model(0.01, faults=0.02)) as server:
        priced = ("llm.price.prompt=10", "llm.price.completion=20", "llm.timeout=1")
        with start(command(tmp_path, server, *priced)) as process:
            out, err = process.communicate()
    assert process.returncode == 0, err
    assert f"Bearer {KEY}".encode() in server.heads[0]
    assert captions(tmp_path) > 0.9 * SEEDS
    assert KEY not in out + err
    files = files_of(tmp_path)
    assert not [name for name, content in files.items() if KEY.encode() in content]
    made_by = Manifest.load(tmp_path / "data").parts[Part.CAPTIONS].made_by
    assert made_by["generator"] == "mock"
    assert made_by["sampling"]["temperature"] == 0.7
    asked = Manifest.load(tmp_path / "data").parts[Part.CAPTIONS].shards[0].asked
    dollars = (10 * asked.prompt_tokens + 20 * asked.completion_tokens) / 1e6
    assert asked.prompt_tokens == 100 * asked.answers >= 100 * SEEDS
    assert f"${dollars:.2f}" in out


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_asked_once_to_stop_it_finishes_what_is_in_flight_and_says_how_to_go_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    with MockServer(Model(0.5)) as server:
        with start(command(tmp_path, server)) as process:
            wait_for(lambda: len(server.heads) > 30)
            process.send_signal(number)
            _, err = process.communicate()
        asked = len(server.heads)
        assert process.returncode == 128 + number, err
        assert "finishing what is in flight" in err
        assert re.search(r"every answer that came is saved\. Go on with: python synthesize\.py experiment=none", err)
        (journal,) = (tmp_path / "data/captions").glob("*.journal.jsonl")
        assert len(journal.read_bytes().splitlines()) == asked < SEEDS
        with start(command(tmp_path, server)) as process:
            assert process.wait() == 0
        assert len(server.heads) == SEEDS  # nothing was asked twice
    assert captions(tmp_path) == SEEDS


def test_asked_twice_it_stops_now(tmp_path: Path) -> None:
    with MockServer(Model(30.0)) as server, start(command(tmp_path, server)) as process:
        wait_for(lambda: len(server.heads) == 16)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, err = process.communicate()
    assert time.monotonic() - began < 5
    assert process.returncode == 130
    assert "interrupted: run the same command again to go on from here." in err
    assert "Traceback" not in err
