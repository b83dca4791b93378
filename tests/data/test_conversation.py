"""What is supervised, against the words themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerFast

from tests.training.tiny import tiny_tokenizer
from unicorn.data.conversation import ConversationTokenizer, Sample
from unicorn.errors import UserError
from unicorn.records import Message, Role

TURNS = [
    Message(role=Role.USER, content="what is the thing ?"),
    Message(role=Role.ASSISTANT, content="a cube ."),
    Message(role=Role.USER, content="what colour ?"),
    Message(role=Role.ASSISTANT, content="red ."),
]
# Llama 3's form: no generation marks, the header is the generation prompt.
HEADERS = (
    "{{ bos_token }}{% for message in messages %}<{{ message['role'] }}> {{ message['content'] }} <end> "
    "{% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}"
)


def conversation_tokenizer(visual_tokens: int = 2, template: str | None = None) -> ConversationTokenizer:
    tokenizer = tiny_tokenizer(extra_special_tokens={"image_token": "<image>"})
    if template is not None:
        tokenizer.chat_template = template
    return ConversationTokenizer(tokenizer, visual_tokens)


def words(tokenizer: ConversationTokenizer, ids: np.ndarray) -> str:
    return " ".join(tokenizer.tokenizer.convert_ids_to_tokens(ids.tolist()))


def supervised(tokenizer: ConversationTokenizer, sample: Sample) -> str:
    return words(tokenizer, sample.input_ids[sample.supervised])


def test_a_caption_follows_its_image() -> None:
    tokenizer = conversation_tokenizer()
    first, second = tokenizer.captions(["a red cube .", "the ball"])
    assert words(tokenizer, first.input_ids) == "<bos> <image> <image> a red cube . <eos>"
    assert supervised(tokenizer, first) == "a red cube . <eos>"
    assert supervised(tokenizer, second) == "the ball <eos>"


@pytest.mark.parametrize("template", [None, HEADERS])
def test_answers_and_what_closes_them_are_supervised(template: str | None) -> None:
    tokenizer = conversation_tokenizer(template=template)
    (sample,) = tokenizer.conversations([TURNS])
    assert words(tokenizer, sample.input_ids) == (
        "<bos> <user> <image> <image> what is the thing ? <end> <assistant> a cube . <end> "
        "<user> what colour ? <end> <assistant> red . <end>"
    )
    assert supervised(tokenizer, sample) == "a cube . <end> red . <end>"


@pytest.mark.parametrize("template", [None, HEADERS])
def test_an_answer_that_holds_the_role_marker_is_supervised_whole(template: str | None) -> None:
    tokenizer = conversation_tokenizer(template=template)
    turns = [TURNS[0], Message(role=Role.ASSISTANT, content="it is <assistant> red <user> .")]
    (sample,) = tokenizer.conversations([turns])
    assert supervised(tokenizer, sample) == "it is <assistant> red <user> . <end>"


@pytest.mark.parametrize("template", [None, HEADERS])
def test_an_answer_that_ends_in_white_space_leaves_the_next_question_unsupervised(template: str | None) -> None:
    tokenizer = conversation_tokenizer(template=template)
    (sample,) = tokenizer.conversations([[TURNS[0], Message(role=Role.ASSISTANT, content="a cube  "), *TURNS[2:]]])
    assert supervised(tokenizer, sample) == "a cube <end> red . <end>"


def test_an_image_that_the_question_places_stays_there() -> None:
    tokenizer = conversation_tokenizer(visual_tokens=1)
    turns = [Message(role=Role.USER, content="what is it ? <image>"), TURNS[1]]
    (sample,) = tokenizer.conversations([turns])
    assert words(tokenizer, sample.input_ids).startswith("<bos> <user> what is it ? <image> <end>")


def test_the_image_is_shown_to_the_user_not_to_the_system() -> None:
    tokenizer = conversation_tokenizer(visual_tokens=1, template=HEADERS)
    turns = [Message(role=Role.SYSTEM, content="a picture"), *TURNS]
    (sample,) = tokenizer.conversations([turns])
    assert "a picture <end> <user> <image> what is" in words(tokenizer, sample.input_ids)


def test_the_prompt_is_the_beginning_of_the_conversation() -> None:
    tokenizer = conversation_tokenizer()
    (sample,) = tokenizer.conversations([TURNS])
    for turn in (1, 3):
        prompt = tokenizer.prompt(TURNS[:turn])
        assert sample.input_ids[: len(prompt)].tolist() == prompt
        assert sample.supervised[len(prompt)]
        assert not sample.supervised[len(prompt) - 1]


def test_a_model_without_a_chat_template_is_refused() -> None:
    with pytest.raises(UserError, match="no chat template"):
        conversation_tokenizer(template="").conversations([TURNS])


def test_a_template_that_rewrites_earlier_turns_is_refused() -> None:
    forgetful = (
        "{% for message in messages %}<{{ message['role'] }}> "
        "{% if loop.last %}{{ message['content'] }}{% endif %} <end> {% endfor %}"
        "{% if add_generation_prompt %}<assistant> {% endif %}"
    )
    with pytest.raises(UserError, match="rewrites earlier turns"):
        conversation_tokenizer(template=forgetful).conversations([TURNS])


MARKED = (
    "{{ bos_token }}{% for message in messages %}<{{ message['role'] }}>"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}<end>{% endgeneration %}"
    "{% else %}{{ message['content'] }}<end>{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
UNMARKED = (
    "{{ bos_token }}{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
MARKERS = [
    "<bos>",
    "<end>",
    "<user>",
    "<assistant>",
    "<system>",
    "{% generation %}",
    "{{ bos_token }}",
    "  ",
    "\n",
    "\r\n",
]
CONTENT = st.lists(st.sampled_from(MARKERS) | st.text(st.characters(codec="utf-8"), max_size=4), max_size=4).map(
    "".join
)


def byte_tokenizer(template: str) -> ConversationTokenizer:
    """A token a byte, so that tokens decode to exactly what was encoded."""
    special = ["<bos>", "<end>", "<user>", "<assistant>", "<system>", "<image>"]
    letters = sorted(ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE({letter: number for number, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = ByteLevelDecoder()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<end>",
        additional_special_tokens=special[2:5],
        extra_special_tokens={"image_token": "<image>"},
        chat_template=template,
    )
    return ConversationTokenizer(fast, visual_tokens=1)


TOKENIZERS = {template: byte_tokenizer(template) for template in (MARKED, UNMARKED)}


@given(system=st.none() | CONTENT, pairs=st.lists(st.tuples(CONTENT, CONTENT), min_size=1, max_size=3))
def test_exactly_the_answers_are_supervised_whatever_anyone_says(
    system: str | None, pairs: list[tuple[str, str]]
) -> None:
    messages = [] if system is None else [Message(role=Role.SYSTEM, content=system)]
    for question, answer in pairs:
        messages += [Message(role=Role.USER, content=question), Message(role=Role.ASSISTANT, content=answer)]
    (marked,), (unmarked,) = (tokenizer.conversations([messages]) for tokenizer in TOKENIZERS.values())
    assert marked.input_ids.tolist() == unmarked.input_ids.tolist()
    assert marked.supervised.tolist() == unmarked.supervised.tolist()
    decode = TOKENIZERS[MARKED].tokenizer.decode
    assert decode(marked.input_ids[marked.supervised]) == "".join(f"{answer}<end>" for _, answer in pairs)
    said = [f"<{message.role}>{message.content}<end>" for message in messages]
    first = 0 if system is None else 1
    said[first] = said[first].replace("<user>", "<user><image>\n", 1)
    assert decode(marked.input_ids) == "<bos>" + "".join(said)
    for tokenizer in TOKENIZERS.values():  # and an evaluation asks as it was taught
        prompt = tokenizer.prompt(messages[:-1])
        assert marked.input_ids[: len(prompt)].tolist() == prompt


@given(st.lists(CONTENT, min_size=1, max_size=3))
def test_a_caption_is_supervised_whatever_it_says(captions: list[str]) -> None:
    tokenizer = TOKENIZERS[MARKED]
    for sample, caption in zip(tokenizer.captions(captions), captions, strict=True):
        assert tokenizer.tokenizer.decode(sample.input_ids) == f"<bos><image>{caption}<end>"
        assert tokenizer.tokenizer.decode(sample.input_ids[sample.supervised]) == f"{caption}<end>"
