"""How vLLM is run: what it is told, what becomes of its errors, and that it outlives no one.

vLLM itself needs a GPU. Here a stand-in with its signatures runs as vLLM does: in the child process.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.llm.test_contract import SCHEMA, VLLM
from unicorn.errors import UserError
from unicorn.llm import Request, Result
from unicorn.llm.vllm import VLLMGenerator, VLLMSettings
from unicorn.records import Message, Role


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stand-in writes what it was told."""
    monkeypatch.setenv("PYTHONPATH", str(VLLM), prepend=":")
    monkeypatch.setenv("RECORD", str(tmp_path / "record.json"))
    return tmp_path / "record.json"


def build(**settings: Any) -> VLLMGenerator:
    return VLLMSettings(**({"model": "org/model", "python": sys.executable} | settings)).build()


def ask(generator: VLLMGenerator, *contents: str, schema: dict[str, Any] | None = None) -> list[Result]:
    requests = (
        Request(id=str(number), messages=(Message(role=Role.USER, content=content),), seed=number + 40, schema=schema)
        for number, content in enumerate(contents)
    )
    return sorted(generator.generate(requests), key=lambda result: int(result.id))


def test_the_engine_is_told_what_the_settings_say(record: Path) -> None:
    generator = build(revision="v2", gpus=4, context=500, concurrency=3, gpu_memory=0.8, dtype="bfloat16")
    first, second = ask(generator, "hello", "seed")
    assert (first.text, second.text) == ("hello", "41")  # a request's own seed
    assert (first.prompt_tokens, first.completion_tokens, first.finish_reason) == (5, 5, "stop")
    assert json.loads(record.read_text())["engine"] == {
        "model": "org/model",
        "revision": "v2",
        "dtype": "bfloat16",
        "tensor_parallel_size": 4,
        "gpu_memory_utilization": 0.8,
        "max_model_len": 500,
        "max_num_seqs": 3,
        "enable_prefix_caching": True,
        "disable_log_stats": True,
    }
    assert generator.made_by == {
        "revision": "v2", "dtype": "bfloat16", "temperature": 0.7, "top_p": 0.8, "max_tokens": 2048,
    }  # fmt: skip
    assert generator.health.endswith("0 in flight")
    generator.close()


def test_what_fails_is_an_error_and_what_is_cut_says_so(record: Path) -> None:
    generator = build(max_tokens=30)
    long, failed, cut, dead = ask(generator, "x" * 2000, "fail", "y" * 40, "dead")
    assert long.error == "The decoder prompt (length 2000) is longer than the maximum"
    assert failed.error == "vLLM ended the answer: error"
    assert [each.refused for each in (long, failed, cut, dead)] == [True, False, False, False]
    assert dead.error == "EngineCore encountered an issue"
    assert (cut.text, cut.finish_reason) == ("y" * 30, "length")
    (bound,) = ask(generator, "x", schema=SCHEMA)
    assert bound.finish_reason == "length"
    generator.close()


def test_an_engine_that_fails_is_a_line_with_the_cause(record: Path) -> None:
    generator = build()
    with pytest.raises(
        UserError,
        match=r"vLLM has ended: RuntimeError: CUDA error: an illegal memory access \(exit code 1\)\. Run the",
    ):
        ask(generator, "die")
    generator.close()
    generator = build(model="too-large")
    with pytest.raises(
        UserError, match=r"cannot run llm\.model=too-large: OutOfMemoryError: CUDA out of memory \(exit code 1\)\. Mend"
    ):
        ask(generator, "hello")
    generator.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"python": None}, r"llm=vllm needs vLLM, which has an environment of its own: python -m venv vllm"),
        ({"python": "/no/python"}, r"llm\.python=/no/python is no program here\. Set it to the python of"),
        ({"gpus": 0}, r"llm\.gpus=0 is too few: one is the least"),
        ({"context": 0}, r"llm\.context=0 is too few: one is the least"),
        ({"gpu_memory": 1.5}, r"llm\.gpu_memory=1\.5: must be above 0, and 1 at most"),
    ],
)
def test_a_mistake_is_a_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(**settings)


def test_an_environment_without_vllm_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    generator = build()
    with pytest.raises(
        UserError, match=r"cannot run llm\.model=org/model: ModuleNotFoundError: No module named 'vllm'"
    ):
        ask(generator, "hello")
    generator.close()


ASK_FOR_EVER = """
import itertools, sys
from unicorn.llm import Request
from unicorn.llm.vllm import VLLMSettings
from unicorn.records import Message, Role

messages = (Message(role=Role.USER, content="hello"),)
requests = (Request(id=str(number), messages=messages, seed=0) for number in itertools.count())
for result in VLLMSettings(model="m", python=sys.executable).build().generate(requests):
    print(result.text, flush=True)
"""


def test_the_engine_is_not_in_reach_of_ctrl_c_and_ends_with_who_asks(record: Path) -> None:
    asking = subprocess.Popen([sys.executable, "-c", ASK_FOR_EVER], stdout=subprocess.PIPE, start_new_session=True)
    assert asking.stdout
    assert asking.stdout.readline() == b"hello\n"
    engine = json.loads(record.read_text())["pid"]
    assert os.getpgid(engine) != asking.pid  # the terminal signals a group
    asking.send_signal(signal.SIGKILL)
    asking.wait()
    asking.stdout.close()
    assert ends(engine)


def ends(process: int, within: float = 10.0) -> bool:
    """Whether a process that is not ours ends."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True  # nobody is there to be told
        except OSError:
            return True
        time.sleep(0.05)
    return False
