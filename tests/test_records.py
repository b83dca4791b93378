"""Records come back as they went, whatever is in them."""

from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unicorn.dataset.shards import iterate_captions, iterate_instructions, save_captions, save_instructions
from unicorn.records import Caption, Instruction, Message, Role, Task

TEXT = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["\0", "\u2028", "👩‍🚀", "e\u0301", "\ufeff", "\r\n"]
)
CAPTIONS = st.builds(Caption, id=TEXT, text=TEXT, domain=TEXT, generator=TEXT, prompt_version=TEXT)
MESSAGES = st.lists(st.builds(Message, role=st.sampled_from(Role), content=TEXT), max_size=5).map(tuple)
INSTRUCTIONS = st.builds(Instruction, id=TEXT, caption_id=TEXT, task=st.sampled_from(Task), messages=MESSAGES)


@given(INSTRUCTIONS)
def test_an_instruction_is_its_plain_values(instruction: Instruction) -> None:
    assert Instruction.from_dict(instruction.to_dict()) == instruction
    assert Instruction.from_dict(orjson.loads(orjson.dumps(instruction.to_dict()))) == instruction


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("records")


@settings(deadline=None)
@given(captions=st.lists(CAPTIONS, max_size=8), instructions=st.lists(INSTRUCTIONS, max_size=8))
def test_parquet_gives_back_what_it_was_given(
    folder: Path, captions: list[Caption], instructions: list[Instruction]
) -> None:
    save_captions(folder / "captions", captions)
    assert list(iterate_captions(folder / "captions")) == captions
    save_instructions(folder / "instructions", instructions)
    assert list(iterate_instructions(folder / "instructions")) == instructions
    once = (folder / "instructions").read_bytes()
    save_instructions(folder / "instructions", instructions)
    assert (folder / "instructions").read_bytes() == once
