"""The processor against what training feeds, and against the model: pictures in, tokens and vectors out."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, pipeline

from tests.evaluation.tiny_model import tiny_model
from tests.hub.worlds import GREEN, GREY, RED, ColourTower, picture, processor, save, statistics
from tests.training.tiny import DIMENSION, save_language_model
from unicorn.data.conversation import ConversationTokenizer
from unicorn.errors import UserError
from unicorn.evaluation.answering import ModelAnswerer
from unicorn.hub import UnicornConfig, UnicornForConditionalGeneration, UnicornProcessor
from unicorn.model.settings import ModelSettings
from unicorn.records import Message, Role

QUESTION = "what color is it ?"
CALIBRATION = statistics(RED, GREEN, GREY)
IMAGE, PADDING = 2, 0  # of tiny_model's tokens


def asked(question: str) -> list[int]:
    """The prompt as training and evaluation make it."""
    model, tokenizer = tiny_model()
    conversation = ConversationTokenizer(tokenizer, model.config.visual_tokens)
    return conversation.prompt([Message(role=Role.USER, content=question)])


def by_hand(*colours: tuple[int, int, int]) -> torch.Tensor:
    """n(v - mean(V)) in float64."""
    vectors = ColourTower().encode([picture(colour) for colour in colours]).double()
    shifted = vectors - torch.from_numpy(CALIBRATION.mean)
    return (shifted / shifted.norm(dim=1, keepdim=True)).float()


def test_a_question_about_a_picture_is_what_training_makes_of_it() -> None:
    inputs = processor(CALIBRATION)(images=picture(RED), text=QUESTION)
    assert set(inputs) == {"input_ids", "attention_mask", "image_embeds"}
    assert inputs.input_ids.tolist() == [asked(QUESTION)]
    torch.testing.assert_close(inputs.image_embeds, by_hand(RED))


def test_it_is_so_for_a_language_model_that_knew_no_image_token(tmp_path: Path) -> None:
    model, tokenizer = ModelSettings(language_model=save_language_model(tmp_path), visual_tokens=3).build(DIMENSION)
    expected = ConversationTokenizer(tokenizer, 3).prompt([Message(role=Role.USER, content="what colour is it ?")])
    inputs = UnicornProcessor(tokenizer, 3)(text="what colour is it ?", image_embeds=torch.ones(1, DIMENSION))
    assert inputs.input_ids.tolist() == [expected]
    assert model.embed(**{key: inputs[key] for key in ("input_ids", "image_embeds")}).shape[:2] == (1, len(expected))


def test_the_answer_is_that_of_the_evaluation() -> None:
    model, tokenizer = tiny_model()
    inputs = processor(CALIBRATION)(images=[picture(RED), picture(GREEN)], text=[QUESTION, "is it red ?"])
    said = model.generate(**inputs, max_new_tokens=6, do_sample=False)[:, inputs.input_ids.shape[1] :]
    answers = [answer.strip() for answer in tokenizer.batch_decode(said, skip_special_tokens=True)]
    evaluated = ModelAnswerer(model, tokenizer, batch_size=1, max_new_tokens=6, device="cpu")
    assert answers == evaluated.answer([QUESTION, "is it red ?"], by_hand(RED, GREEN).numpy())


def test_shorter_rows_are_padded_on_the_left() -> None:
    inputs = processor(CALIBRATION)(images=[picture(RED), picture(GREEN)], text=[QUESTION, "is it ?"])
    gap = len(asked(QUESTION)) - len(asked("is it ?"))
    assert inputs.input_ids.tolist() == [asked(QUESTION), [PADDING] * gap + asked("is it ?")]
    assert inputs.attention_mask.sum(dim=1).tolist() == [len(asked(QUESTION)), len(asked("is it ?"))]
    assert not inputs.attention_mask[1, :gap].any()


def test_several_pictures_one_or_none_for_each_text() -> None:
    inputs = processor(CALIBRATION)(
        images=[[picture(RED), picture(GREEN)], [], [picture(GREY)]], text=[QUESTION, QUESTION, QUESTION]
    )
    assert (inputs.input_ids == IMAGE).sum(dim=1).tolist() == [4, 0, 2]
    torch.testing.assert_close(inputs.image_embeds, by_hand(RED, GREEN, GREY))
    together = processor(CALIBRATION)(images=[picture(RED), picture(GREEN)], text=QUESTION)
    assert together.input_ids.tolist() == [inputs.input_ids[0].tolist()]


def test_a_text_with_placeholders_is_a_prompt_and_taken_as_it_is() -> None:
    inputs = processor(CALIBRATION)(images=[picture(RED), picture(GREEN)], text="what <image> is <image> ?")
    assert inputs.input_ids.tolist() == [[5, IMAGE, IMAGE, 7, IMAGE, IMAGE, 12]]
    alone = processor()(text="what is it ?")
    assert alone.input_ids.tolist() == [[5, 7, 8, 12]]
    assert "image_embeds" not in alone


@pytest.mark.parametrize(
    ("images", "text", "said"),
    [
        (2, "what <image> is it ?", "1 <image> in the text for 2 images."),
        (0, "what <image> is it ?", "1 <image> in the text for 0 images."),
        (3, ["what ?", "is it ?"], "images of 3 texts were given with 2."),
        (1, None, "a text is needed"),
    ],
)
def test_numbers_that_do_not_match_are_refused(images: int, text: Any, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        processor(CALIBRATION)(images=[picture(RED)] * images, text=text)


def test_vectors_take_the_place_of_pictures() -> None:
    by_pictures = processor(CALIBRATION)(images=[picture(RED), picture(GREEN)], text=[QUESTION, QUESTION])
    by_vectors = processor()(text=[QUESTION, QUESTION], image_embeds=by_pictures.image_embeds)
    assert torch.equal(by_vectors.input_ids, by_pictures.input_ids)
    assert torch.equal(by_vectors.image_embeds, by_pictures.image_embeds)
    with pytest.raises(UserError, match=r"this processor has no picture encoder\. Give it image_embeds"):
        UnicornProcessor(tiny_model()[1], 2)(images=picture(RED), text=QUESTION)


def test_a_chat_has_its_pictures_where_its_messages_have_them(tmp_path: Path) -> None:
    picture(GREEN).save(tmp_path / "green.png")
    chat = [
        {
            "role": "user",
            "content": [{"type": "image", "image": picture(RED)}, {"type": "text", "text": "is it red ?"}],
        },
        {"role": "assistant", "content": "it is red"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "is it ?"}, {"type": "image", "path": str(tmp_path / "green.png")}],
        },
    ]
    ours = processor(CALIBRATION)
    inputs = ours.apply_chat_template(chat, tokenize=True, return_dict=True, add_generation_prompt=True)
    prompt = ours.apply_chat_template(chat, add_generation_prompt=True)
    said = "user <image>\nis it red ? <eos> assistant it is red <eos> user is it ?\n<image> <eos> assistant "
    assert prompt == said
    assert inputs.input_ids.tolist() == ours(images=[picture(RED), picture(GREEN)], text=said).input_ids.tolist()
    torch.testing.assert_close(inputs.image_embeds, by_hand(RED, GREEN))
    several = ours.apply_chat_template(
        [chat, chat[:1]], tokenize=True, return_dict=True, add_generation_prompt=True, return_tensors="pt"
    )
    assert several.input_ids[0].tolist() == inputs.input_ids[0].tolist()
    torch.testing.assert_close(several.image_embeds, by_hand(RED, GREEN, RED))
    assert chat[0]["content"][0]["image"].size == (4, 3)  # the caller's messages are left alone


def test_the_auto_classes_of_transformers_know_it(tmp_path: Path) -> None:
    save(tmp_path / "model", CALIBRATION)
    assert isinstance(AutoConfig.from_pretrained(tmp_path / "model"), UnicornConfig)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "model")
    assert isinstance(model, UnicornForConditionalGeneration)
    loaded = AutoProcessor.from_pretrained(tmp_path / "model")
    assert isinstance(loaded, UnicornProcessor)
    inputs, before = (each(images=picture(RED), text=QUESTION) for each in (loaded, processor(CALIBRATION)))
    assert all(torch.equal(inputs[key], before[key]) for key in before)
    assert loaded.image_processor.encoder.scale == 0.5
    said = model.generate(**inputs, max_new_tokens=6, do_sample=False)
    assert torch.equal(said, tiny_model()[0].generate(**before, max_new_tokens=6, do_sample=False))


def test_the_pipeline_of_transformers_takes_it(tmp_path: Path) -> None:
    save(tmp_path / "model", CALIBRATION)
    ask = pipeline("image-text-to-text", model=str(tmp_path / "model"), device="cpu")
    chat = [{"role": "user", "content": [{"type": "image", "image": picture(RED)}, {"type": "text", "text": QUESTION}]}]
    answer = ask(text=chat, return_full_text=False, generate_kwargs={"max_new_tokens": 6, "do_sample": False})
    model, tokenizer = tiny_model()
    evaluated = ModelAnswerer(model, tokenizer, batch_size=1, max_new_tokens=6, device="cpu")
    assert answer[0]["generated_text"].strip() == evaluated.answer([QUESTION], by_hand(RED).numpy())[0]


def test_a_picture_is_seen_as_a_person_sees_it(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (4, 3), (*RED, 0))
    white = processor(CALIBRATION)(images=picture((255, 255, 255)), text=QUESTION).image_embeds
    clear.save(tmp_path / "clear.png")
    for given in (clear, str(tmp_path / "clear.png")):
        assert torch.equal(processor(CALIBRATION)(images=given, text=QUESTION).image_embeds, white)
    (tmp_path / "torn.png").write_bytes((tmp_path / "clear.png").read_bytes()[:40])
    with pytest.raises(UserError, match=r"torn\.png is no picture that can be read: .*\. Name another file"):
        processor(CALIBRATION)(images=str(tmp_path / "torn.png"), text=QUESTION)
    strip = Image.fromarray(np.zeros((2, 900, 3), np.uint8))
    with pytest.raises(UserError, match=r"picture 2 cannot be read: 900 x 2 pixels are a strip.* Ask about another"):
        processor(CALIBRATION)(images=[picture(RED), strip], text=QUESTION)
