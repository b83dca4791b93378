"""Prompts say what the settings say, and change their version with their text."""

from pathlib import Path
from typing import Any

import pytest

from unicorn.errors import UserError
from unicorn.records import Role, Task
from unicorn.synthesis import prompt as prompt_module
from unicorn.synthesis.prompt import Prompt
from unicorn.synthesis.settings import SynthesisSettings


@pytest.mark.parametrize("name", ["caption", *Task])
def test_a_shipped_prompt_is_filled_in(name: str) -> None:
    settings = SynthesisSettings(words_min=31, words_max=417, pairs_min=5, pairs_max=9)
    system, user = Prompt.load(name, settings).messages("a red bus")
    assert (system.role, user.role, user.content) == (Role.SYSTEM, Role.USER, "a red bus")
    assert "$" not in system.content
    low, high = ("31", "417") if name == "caption" else ("5", "9")
    assert f"between {low} and {high}" in system.content


def test_the_version_follows_the_text_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_module, "_FOLDER", tmp_path)
    versions: list[str] = []
    for text in ("Describe it.", "Describe it!", "Describe it."):
        (tmp_path / "caption.txt").write_text(text)
        versions.append(Prompt.load("caption", SynthesisSettings()).version)
    assert versions[0] == versions[2] != versions[1]
    assert versions[0].startswith("caption-")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"max_attempts": 0}, r"synthesis\.max_attempts=0: must be 1 or more"),
        ({"pairs_min": 9}, r"pairs_min is larger than synthesis\.pairs_max\. Mend"),
        ({"words_max": 3}, r"words_min is larger than synthesis\.words_max\. Mend"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        SynthesisSettings(**values)
