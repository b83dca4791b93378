"""The towers: unit vectors that depend on nothing but their input, saved and loaded apart; and the tokenizer."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from unicorn.scenes.graph import keyed_random, sample_scene
from unicorn.scenes.language import dense_caption
from unicorn.scenes.render import render
from unicorn.scenes.tokenizer import IMAGE, build_tokenizer
from unicorn.scenes.towers import ImageTower, ImageTowerConfig, TextTower, TextTowerConfig

TOKENIZER = build_tokenizer()
CAPTIONS = [dense_caption(sample_scene(rng), rng) for rng in (keyed_random("towers", index) for index in range(12))]


@pytest.fixture(scope="module")
def text_tower() -> TextTower:
    torch.manual_seed(0)
    return TextTower(TextTowerConfig(vocab_size=len(TOKENIZER))).eval()


@pytest.fixture(scope="module")
def image_tower() -> ImageTower:
    torch.manual_seed(0)
    return ImageTower(ImageTowerConfig()).eval()


def encode(tower: TextTower, captions: list[str], **options: int) -> torch.Tensor:
    """Vectors of captions, as one batch."""
    with torch.inference_mode():
        tokens = TOKENIZER(captions, padding="max_length" if options else True, return_tensors="pt", **options)
        return tower(tokens["input_ids"], tokens["attention_mask"])


def test_a_vector_does_not_depend_on_its_batch(text_tower: TextTower) -> None:
    alone = torch.cat([encode(text_tower, [caption]) for caption in CAPTIONS])
    torch.testing.assert_close(encode(text_tower, CAPTIONS), alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(encode(text_tower, CAPTIONS, max_length=128), alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(alone.norm(dim=1), torch.ones(len(CAPTIONS)))


def test_the_first_word_sees_the_last(text_tower: TextTower) -> None:
    tokens = TOKENIZER(["a red circle", "a red square"], return_tensors="pt")
    with torch.inference_mode():
        hidden = text_tower.encoder(text_tower.tokens(tokens["input_ids"]))
    assert (hidden[0, 0] - hidden[1, 0]).abs().max() > 1e-3


def test_a_picture_s_vector_does_not_depend_on_its_batch(image_tower: ImageTower) -> None:
    pictures = torch.stack(
        [torch.tensor(np.asarray(render(sample_scene(rng), rng))) for rng in map(keyed_random, range(5))]
    )
    with torch.inference_mode():
        together = image_tower(pictures)
        alone = torch.cat([image_tower(picture[None]) for picture in pictures])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(5))


def test_saved_in_half_precision_and_loaded_again(text_tower: TextTower, tmp_path: Path) -> None:
    before = encode(text_tower, CAPTIONS)
    TextTower(text_tower.config).half().save_pretrained(tmp_path / "other")
    copy = TextTower(text_tower.config)
    copy.load_state_dict(text_tower.state_dict())
    copy.half().save_pretrained(tmp_path / "tower")
    loaded = TextTower.from_pretrained(tmp_path / "tower", dtype=torch.float32).eval()
    assert next(loaded.parameters()).dtype == torch.float32
    assert (encode(loaded, CAPTIONS) * before).sum(1).min() > 0.9999


def test_text_needs_no_renderer() -> None:
    code = (
        "import sys; from unicorn.scenes import language, reader, questions, generator;"
        "assert not {'PIL', 'torch', 'transformers'} & set(sys.modules), set(sys.modules);"
        "from unicorn.scenes import towers, tokenizer; assert 'unicorn.scenes.render' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_chat_template_marks_what_the_assistant_says(tmp_path: Path) -> None:
    TOKENIZER.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    messages = [
        {"role": "user", "content": f"{IMAGE} what is written?"},
        {"role": "assistant", "content": "K 7"},
        {"role": "user", "content": "is there a star?"},
        {"role": "assistant", "content": "no"},
    ]
    encoded = tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    said = [token for token, mask in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if mask]
    assert tokenizer.convert_ids_to_tokens(said) == ["K", "7", "<end>", "no", "<end>"]
    assert encoded["input_ids"].count(tokenizer.convert_tokens_to_ids(IMAGE)) == 1
    prompt = tokenizer.apply_chat_template(messages[:1], add_generation_prompt=True, return_dict=True)["input_ids"]
    assert encoded["input_ids"][: len(prompt)] == prompt
