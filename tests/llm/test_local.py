"""What a model that runs here is called in captions, manifests and cards."""

import sys
from pathlib import Path

import pytest

from unicorn.llm.causal_lm import CausalLMSettings
from unicorn.llm.llamacpp import LlamaCppSettings
from unicorn.llm.vllm import VLLMSettings


@pytest.mark.parametrize(
    ("model", "file", "name"),
    [
        ("org/model-1.5", None, "org/model-1.5"),
        ("org/model-1.5", "Q4/model.gguf", "org/model-1.5/Q4/model.gguf"),
        ("gpt2", None, "gpt2"),
        ("package:shipped/weights", "model.gguf", "package:shipped/weights/model.gguf"),
        ("/data/models/tuned/", None, "tuned"),
        ("/data/models", "Q4/model.gguf", "model.gguf"),
        ("~/models/model.gguf", None, "model.gguf"),
        ("../models", None, "models"),
        ("a/b/tuned", None, "tuned"),
    ],
)
def test_a_name_is_the_hubs_or_that_of_the_file_or_folder(model: str, file: str | None, name: str) -> None:
    assert CausalLMSettings(model=model, gguf_file=file).build().name == name
    assert LlamaCppSettings(model=model, gguf_file=file).build().name == name
    if file is None:
        assert VLLMSettings(model=model, python=sys.executable).build().name == name


def test_a_model_that_is_moved_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: set[str] = set()
    for place in ("here", "there"):
        (tmp_path / place / "tuned").mkdir(parents=True)
        for model in (f"{place}/tuned", f"{tmp_path}/{place}/tuned"):  # the first might be on the Hub, but is here
            names.add(CausalLMSettings(model=model).build().name)
            names.add(VLLMSettings(model=model, python=sys.executable).build().name)
    monkeypatch.chdir(tmp_path / "here" / "tuned")
    names.add(CausalLMSettings(model=".").build().name)
    assert names == {"tuned"}
