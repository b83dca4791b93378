"""What is supervised, against the words themselves."""

import re
from pathlib import Path

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
from unicorn.data.chat_template import Unfit
from unicorn.data.conversation import ConversationTokenizer, Sample
from unicorn.errors import UserError
from unicorn.files import locate
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


def only(samples: list[Sample | Unfit]) -> Sample:
    """The one sample, which must be one."""
    (sample,) = samples
    assert isinstance(sample, Sample), sample
    return sample


def why(tokenizer: ConversationTokenizer, messages: list[Message]) -> str:
    """Why no sample can be made of a conversation."""
    (unfit,) = tokenizer.conversations([messages])
    assert isinstance(unfit, Unfit)
    return str(unfit)


def says(*turns: tuple[str, str]) -> list[Message]:
    """A conversation, each turn by the first letter of its role and what is said."""
    roles = {role.value[0]: role for role in Role}
    return [Message(role=roles[letter], content=content) for letter, content in turns]


def words(tokenizer: ConversationTokenizer, ids: np.ndarray) -> str:
    return " ".join(tokenizer.tokenizer.convert_ids_to_tokens(ids.tolist()))


def supervised(tokenizer: ConversationTokenizer, sample: Sample) -> str:
    return words(tokenizer, sample.input_ids[sample.supervised])


def test_a_caption_follows_its_image() -> None:
    tokenizer = conversation_tokenizer()
    first, second = (only([sample]) for sample in tokenizer.captions(["a red cube .", "the ball"]))
    assert words(tokenizer, first.input_ids) == "<bos> <image> <image> a red cube . <eos>"
    assert supervised(tokenizer, first) == "a red cube . <eos>"
    assert supervised(tokenizer, second) == "the ball <eos>"


@pytest.mark.parametrize("template", [None, HEADERS])
def test_answers_and_what_closes_them_are_supervised(template: str | None) -> None:
    tokenizer = conversation_tokenizer(template=template)
    sample = only(tokenizer.conversations([TURNS]))
    assert words(tokenizer, sample.input_ids) == (
        "<bos> <user> <image> <image> what is the thing ? <end> <assistant> a cube . <end> "
        "<user> what colour ? <end> <assistant> red . <end>"
    )
    assert supervised(tokenizer, sample) == "a cube . <end> red . <end>"


@pytest.mark.parametrize("template", [None, HEADERS])
def test_an_answer_that_holds_the_role_marker_is_supervised_whole(template: str | None) -> None:
    tokenizer = conversation_tokenizer(template=template)
    turns = [TURNS[0], Message(role=Role.ASSISTANT, content="it is <assistant> red <user> .")]
    sample = only(tokenizer.conversations([turns]))
    assert supervised(tokenizer, sample) == "it is <assistant> red <user> . <end>"


@pytest.mark.parametrize("template", [None, HEADERS])
def test_an_answer_that_ends_in_white_space_leaves_the_next_question_unsupervised(template: str | None) -> None:
    tokenizer = conversation_tokenizer(template=template)
    sample = only(tokenizer.conversations([[TURNS[0], Message(role=Role.ASSISTANT, content="a cube  "), *TURNS[2:]]]))
    assert supervised(tokenizer, sample) == "a cube <end> red . <end>"


def test_an_image_that_the_question_places_stays_there() -> None:
    tokenizer = conversation_tokenizer(visual_tokens=1)
    turns = [Message(role=Role.USER, content="what is it ? <image>"), TURNS[1]]
    sample = only(tokenizer.conversations([turns]))
    assert words(tokenizer, sample.input_ids).startswith("<bos> <user> what is it ? <image> <end>")


def test_the_image_is_shown_to_the_user_not_to_the_system() -> None:
    tokenizer = conversation_tokenizer(visual_tokens=1, template=HEADERS)
    turns = [Message(role=Role.SYSTEM, content="a picture"), *TURNS]
    sample = only(tokenizer.conversations([turns]))
    assert "a picture <end> <user> <image> what is" in words(tokenizer, sample.input_ids)


def test_the_prompt_is_the_beginning_of_the_conversation() -> None:
    tokenizer = conversation_tokenizer()
    sample = only(tokenizer.conversations([TURNS]))
    for turn in (1, 3):
        prompt = tokenizer.prompt(TURNS[:turn])
        assert sample.input_ids[: len(prompt)].tolist() == prompt
        assert sample.supervised[len(prompt)]
        assert not sample.supervised[len(prompt) - 1]


def test_a_model_without_a_chat_template_is_refused() -> None:
    with pytest.raises(UserError, match="no chat template"):
        conversation_tokenizer(template="").conversations([TURNS])


def test_a_chat_template_that_is_not_jinja_is_refused() -> None:
    with pytest.raises(UserError, match=r"the chat template of.* is not valid Jinja: line 1: .*for"):
        conversation_tokenizer(template="{% for message in messages %}").conversations([TURNS])


def test_a_conversation_that_the_template_rewrites_is_turned_away_alone() -> None:
    forgetful = (
        "{% for message in messages %}<{{ message['role'] }}> "
        "{% if loop.last or message['role'] == 'user' %}{{ message['content'] }}{% endif %} <end> {% endfor %}"
        "{% if add_generation_prompt %}<assistant> {% endif %}"
    )
    short, long = conversation_tokenizer(template=forgetful).conversations([TURNS[:2], TURNS])
    assert isinstance(short, Sample)
    assert "rewrites earlier turns" in str(long)


STRICT = (
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}<{{ message['role'] }}> {{ message['content'] }} <end> "
    "{% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}"
)
MARKED_STRICT = STRICT.replace(
    "{{ message['content'] }} <end>", "{% generation %}{{ message['content'] }}{% endgeneration %}"
)


@pytest.mark.parametrize("template", [STRICT, MARKED_STRICT])
def test_what_a_strict_template_refuses_is_turned_away_alone(template: str) -> None:
    tokenizer = conversation_tokenizer(template=template)
    refused = [
        says(("u", "a"), ("u", "the"), ("a", "red")),
        says(("s", "a"), ("u", "the"), ("a", "red")),
        says(("u", "a"), ("a", "the"), ("a", "red")),
    ]
    first, *unfit, last = tokenizer.conversations([TURNS, *refused, TURNS])
    assert isinstance(first, Sample)
    assert isinstance(last, Sample)
    assert [str(each) for each in unfit] == ["the chat template refuses it: roles must alternate"] * 3


@pytest.mark.parametrize("template", [None, HEADERS])
def test_odd_orders_of_roles_that_a_template_renders_are_learned_from(template: str | None) -> None:
    tokenizer = conversation_tokenizer(template=template)
    for messages, answers in [
        (says(("u", "a"), ("u", "the"), ("a", "red")), "red <end>"),
        (says(("u", "a"), ("a", "the"), ("a", "red")), "the <end> red <end>"),
        (says(("u", "a"), ("a", "the"), ("s", "it"), ("u", "is"), ("a", "red")), "the <end> red <end>"),
        (says(("u", "a"), ("a", "the"), ("u", "is")), "the <end>"),
    ]:
        assert supervised(tokenizer, only(tokenizer.conversations([messages]))) == answers


@pytest.mark.parametrize("template", [None, HEADERS])
@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "no question"),
        (says(("s", "a"), ("a", "red")), "no question"),
        (says(("a", "red"), ("u", "what"), ("a", "blue")), "an answer comes before the image, or holds it"),
        (says(("u", "what"), ("a", "red"), ("u", "<image> is"), ("a", "blue")), "an answer comes before the image"),
        (says(("u", "what"), ("a", "the <image>")), "an answer comes before the image, or holds it"),
        (says(("u", "<image> what <image>"), ("a", "red")), "2 images where one belongs"),
        (says(("u", "<image> what"), ("a", "the <image>")), "2 images where one belongs"),
        (says(("u", "what"), ("a", " \n")), "turn 2 is an empty answer"),
        (says(("u", "what <eos>"), ("a", "red")), "turn 1 contains <eos>, a special token"),
        (says(("u", "what"), ("a", "red<eos>")), "turn 2 contains <eos>, a special token"),
        (says(("s", "<bos>"), ("u", "what"), ("a", "red")), "turn 1 contains <bos>, a special token"),
    ],
)
def test_what_cannot_be_learned_from_says_why(template: str | None, messages: list[Message], reason: str) -> None:
    tokenizer = conversation_tokenizer(template=template)
    assert why(tokenizer, messages).startswith(reason)
    if reason != "an answer comes before the image, or holds it" and messages and messages[-1].content.strip():
        with pytest.raises(UserError, match=r"the model cannot be asked .*: .*\. Leave it out\."):
            tokenizer.prompt(messages)


def test_a_caption_with_a_special_token_is_turned_away_alone() -> None:
    good, image, end = conversation_tokenizer().captions(["a red cube", "the <image>", "<eos> red"])
    assert isinstance(good, Sample)
    assert str(image) == "it contains <image>, a special token"
    assert str(end) == "it contains <eos>, a special token"


VICUNA = locate("package:unicorn.data/chat_templates/vicuna.jinja")
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions. "
)


MARKED = (
    "{{ bos_token }}{% for message in messages %}<{{ message['role'] }}>"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}<end>{% endgeneration %}"
    "{% else %}{{ message['content'] }}<end>{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
UNMARKED = (
    "{{ bos_token }}{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
CHATML = UNMARKED.replace("<end>", "<end>\n")  # as most templates break the line after a turn
SPECIAL = ("<bos>", "<end>")
MARKERS = [
    *SPECIAL,
    "<user>",
    "<assistant>",
    "<system>",
    "USER: ",
    "ASSISTANT:",
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
    letters = sorted(ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE({letter: number for number, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = ByteLevelDecoder()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<end>",
        extra_special_tokens={"image_token": "<image>"},
        chat_template=template,
    )
    return ConversationTokenizer(fast, visual_tokens=1)


TOKENIZERS = [byte_tokenizer(template) for template in (MARKED, UNMARKED)]
OTHERS = {"": byte_tokenizer(CHATML), " ": byte_tokenizer(Path(VICUNA).read_text())}  # by what comes before an answer


def holds_special(text: str) -> bool:
    return any(token in text for token in SPECIAL)


def test_vicuna_is_written_as_the_published_code_writes_it() -> None:
    tokenizer = byte_tokenizer(Path(VICUNA).read_text())
    decode = tokenizer.tokenizer.decode
    sample = only(
        tokenizer.conversations([says(("u", "What?"), ("a", "A cube."), ("u", "USER: hm"), ("a", "ASSISTANT: A"))])
    )
    assert decode(sample.input_ids) == (
        f"<bos>{SYSTEM}USER: <image>\nWhat? ASSISTANT: A cube.<end>USER: USER: hm ASSISTANT: ASSISTANT: A<end>"
    )
    assert decode(sample.input_ids[sample.supervised]) == " A cube.<end> ASSISTANT: A<end>"
    prompt = tokenizer.prompt(says(("u", "What?")))
    assert decode(prompt) == f"<bos>{SYSTEM}USER: <image>\nWhat? ASSISTANT:"
    assert prompt == sample.input_ids[: len(prompt)].tolist()
    system = only(tokenizer.conversations([says(("s", "Be brief."), ("u", "What?"), ("a", "A cube."))]))
    assert decode(system.input_ids) == "<bos>Be brief. USER: <image>\nWhat? ASSISTANT: A cube.<end>"
    for messages in (says(("u", "a"), ("u", "b"), ("a", "c")), says(("u", "a"), ("a", "b"), ("s", "c"))):
        assert "user and assistant must take turns, the user first" in why(tokenizer, messages)


@given(system=st.none() | CONTENT, pairs=st.lists(st.tuples(CONTENT, CONTENT), min_size=1, max_size=3))
def test_exactly_the_answers_are_supervised_whatever_anyone_says(
    system: str | None, pairs: list[tuple[str, str]]
) -> None:
    messages = [] if system is None else [Message(role=Role.SYSTEM, content=system)]
    for question, answer in pairs:
        messages += [Message(role=Role.USER, content=question), Message(role=Role.ASSISTANT, content=answer)]
    made = [tokenizer.conversations([messages])[0] for tokenizer in (*TOKENIZERS, *OTHERS.values())]
    if any(holds_special(message.content) for message in messages) or not all(answer.strip() for _, answer in pairs):
        assert all(re.search("special token|empty answer", str(unfit)) for unfit in made)
        return
    marked, unmarked, *others = [only([sample]) for sample in made]
    assert marked.input_ids.tolist() == unmarked.input_ids.tolist()
    assert marked.supervised.tolist() == unmarked.supervised.tolist()
    decode = TOKENIZERS[0].tokenizer.decode
    answers = [answer.strip() for _, answer in pairs]
    assert decode(marked.input_ids[marked.supervised]) == "".join(f"{answer}<end>" for answer in answers)
    said = [f"<{message.role}>{message.content.strip()}<end>" for message in messages]
    first = 0 if system is None else 1
    said[first] = said[first].replace("<user>", "<user><image>\n", 1)
    assert decode(marked.input_ids) == "<bos>" + "".join(said)
    for sample, before in zip(others, OTHERS, strict=True):
        assert decode(sample.input_ids[sample.supervised]) == "".join(f"{before}{answer}<end>" for answer in answers)
    for sample, tokenizer in zip([marked, unmarked, *others], [*TOKENIZERS, *OTHERS.values()], strict=True):
        prompt = tokenizer.prompt(messages[:-1])  # an evaluation asks as it was taught
        assert sample.input_ids[: len(prompt)].tolist() == prompt


@given(st.lists(CONTENT, min_size=1, max_size=3))
def test_a_caption_is_supervised_whatever_it_says(captions: list[str]) -> None:
    tokenizer = TOKENIZERS[0]
    for sample, caption in zip(tokenizer.captions(captions), captions, strict=True):
        if holds_special(caption):
            assert isinstance(sample, Unfit)
        else:
            assert isinstance(sample, Sample)
            assert tokenizer.tokenizer.decode(sample.input_ids) == f"<bos><image>{caption}<end>"
            assert tokenizer.tokenizer.decode(sample.input_ids[sample.supervised]) == f"{caption}<end>"
