"""The small language model: a Llama trained on the world's text alone.

It learns to write dense captions, and, in the chat template, to answer questions about a caption given in the user's
first turn, over one or several turns, as an instruct model does.
"""

import time
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from transformers import BatchEncoding, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from unicorn.scenes.graph import keyed_random, sample_scene
from unicorn.scenes.language import dense_caption, seed_caption
from unicorn.scenes.optimization import Optimization
from unicorn.scenes.questions import DESCRIBE_FORMS, TYPES, Question, questions
from unicorn.scenes.reader import read
from unicorn.scenes.tokenizer import BOS, END, EOS, PAD

Messages = list[dict[str, str]]


@dataclass(frozen=True, kw_only=True)
class Course:
    """A part of the training with a warm-up and a decay of its own.

    A lesson comes first: questions of few types about one object. Without it the model stays at chance for thousands of
    steps on most types and finds them one by one; with it, it learns to look them up within a few hundred.
    """

    name: str
    steps: int
    lesson: tuple[str, ...]  # types of its questions
    lesson_steps: int


_FACTS = (*("colour", "shape", "size", "position", "count", "background", "texture", "domain", "reading", "presence"),)
COURSES = (
    Course(name="facts", steps=2_500, lesson=_FACTS, lesson_steps=500),
    Course(name="choices", steps=1_000, lesson=("multiple_choice", *_FACTS), lesson_steps=600),
)


@dataclass(kw_only=True)
class LanguageModelSettings:
    """How the language model is trained."""

    courses: tuple[Course, ...] = COURSES
    batch: int = 32  # conversations
    learning_rate: float = 3e-3  # of AdamW
    matrix_learning_rate: float = 6e-3  # of Muon
    warm_up: float = 0.02  # share of a course's steps
    context_weight: float = 0.1  # of the loss on what no assistant says
    describing: float = 0.0625  # share of conversations that ask for a dense caption, after the lesson
    questions: int = 4  # in a conversation about a caption


def describing(key: str | int) -> Messages:
    """A sparse or dense caption, an instruction to describe, and a dense caption that agrees with it."""
    rng = keyed_random("pretrain", "language model", key)
    scene = sample_scene(rng)
    given = rng.choice((seed_caption, dense_caption))(scene, rng)
    return _conversation(given, [(rng.choice(DESCRIBE_FORMS), dense_caption(scene, rng))])


def answering(key: str | int, number: int, lesson: tuple[str, ...] = ()) -> tuple[Messages, list[Question]]:
    """A sparse or dense caption and up to `number` questions that it answers; the questions also on their own.

    A lesson asks for its types about one object, which a dense caption describes.
    """
    rng = keyed_random("pretrain", "language model", key)
    asked: list[Question] = []
    caption = ""
    while not asked:  # a sparse caption may decide nothing
        if lesson:
            caption = dense_caption(sample_scene(rng, objects=1), rng)
        else:
            caption = rng.choice((seed_caption, dense_caption))(sample_scene(rng), rng)
        asked = questions(read(caption), rng, types=lesson, number=number)
    return _conversation(caption, [(question.prompt, question.answer) for question in asked]), asked


def _conversation(caption: str, turns: list[tuple[str, str]]) -> Messages:
    messages: Messages = []
    for prompt, answer in turns:
        content = prompt if messages else f"{caption} {prompt}"
        messages += [{"role": "user", "content": content}, {"role": "assistant", "content": answer}]
    return messages


class ConversationBatches(Dataset[dict[str, Tensor]]):
    """Batch number i of a course: conversations in the chat template, a function of course and i alone."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, course: Course, settings: LanguageModelSettings) -> None:
        self.tokenizer = tokenizer
        self.course = course
        self.settings = settings

    def __len__(self) -> int:
        return self.course.steps

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        course, settings = self.course, self.settings
        keys = [f"{course.name}/{index * settings.batch + row}" for row in range(settings.batch)]
        lesson = course.lesson if index < course.lesson_steps else ()
        split = 0 if lesson else round(settings.describing * settings.batch)
        conversations = [describing(key) for key in keys[:split]]
        conversations += [answering(key, settings.questions, lesson)[0] for key in keys[split:]]
        return tokenize(self.tokenizer, conversations)


def tokenize(tokenizer: PreTrainedTokenizerFast, conversations: list[Messages]) -> dict[str, Tensor]:
    """Ids, attention mask and the mask of what assistants say, padded on the right."""
    encoded = tokenizer.apply_chat_template(
        conversations,
        return_dict=True,
        return_assistant_tokens_mask=True,
        padding=True,
        return_tensors="pt",
    )
    return dict(cast("BatchEncoding", encoded))


def build_language_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama of 0.9M weights, untrained, that stops at the end of its turn."""
    hidden_size, tokens = 128, tokenizer.get_vocab()
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=hidden_size,
            intermediate_size=384,
            num_hidden_layers=4,
            num_attention_heads=4,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            initializer_range=hidden_size**-0.5,
            bos_token_id=tokens[BOS],
            eos_token_id=[tokens[END], tokens[EOS]],
            pad_token_id=tokens[PAD],
        )
    )


def train_language_model(tokenizer: PreTrainedTokenizerFast, settings: LanguageModelSettings) -> LlamaForCausalLM:
    """The language model, trained from nothing, course by course."""
    torch.manual_seed(0)
    model = build_language_model(tokenizer).train()
    for course in settings.courses:
        _take(course, model, tokenizer, settings)
    return model.eval()


def _take(
    course: Course, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, settings: LanguageModelSettings
) -> None:
    optimization = Optimization(
        model, course.steps, settings.learning_rate, settings.matrix_learning_rate, settings.warm_up
    )
    conversations = ConversationBatches(tokenizer, course, settings)
    batches = DataLoader(conversations, batch_size=None, num_workers=1, prefetch_factor=8)
    start = time.monotonic()
    for step, batch in enumerate(batches, 1):
        answers, surroundings = _losses(model, batch)
        optimization.step(answers + settings.context_weight * surroundings)
        if step % 50 == 0:
            print(
                f"language model, {course.name} {step}/{course.steps} answers {answers.item():.3f} "
                f"context {surroundings.item():.3f} {time.monotonic() - start:.0f} s"
            )


def _losses(model: LlamaForCausalLM, batch: dict[str, Tensor]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Mean loss of the tokens that assistants say, and of the others.

    Computed in four parts of conversations of like length, so that little is padding; it comes last, where no token
    before it sees it.
    """
    lengths = batch["attention_mask"].sum(1)
    said: list[Tensor] = []
    others: list[Tensor] = []
    for rows in lengths.argsort().chunk(4):
        ids, real, mask = (
            batch[name][rows, : int(lengths[rows].max())] for name in ("input_ids", "attention_mask", "assistant_masks")
        )
        logits = model(input_ids=ids).logits
        losses = cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
        said.append(losses[mask[:, 1:] == 1])
        others.append(losses[(mask[:, 1:] == 0) & (real[:, 1:] == 1)])
    return torch.cat(said).mean(), torch.cat(others).mean()


@torch.inference_mode()
def question_accuracy(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, conversations: int = 400
) -> dict[str, float]:
    """Share of held-out answers, by type, that greedy decoding gets word by word, over captions given as text."""
    right: dict[str, list[bool]] = {name: [] for name in TYPES}
    keys = [f"held out/{index}" for index in range(conversations)]
    for start in range(0, conversations, 50):
        drawn = [answering(key, 8) for key in keys[start : start + 50]]
        batch = tokenize(tokenizer, [messages for messages, _ in drawn])
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        hits = logits[:, :-1].argmax(-1) == batch["input_ids"][:, 1:]
        for row, (_, asked) in enumerate(drawn):
            for question, answered in zip(asked, _turns(hits[row], batch["assistant_masks"][row, 1:]), strict=True):
                right[question.type].append(bool(answered.all()))
    return {name: sum(values) / len(values) for name, values in right.items() if values}


def _turns(hits: Bool[Tensor, " length"], said: Tensor) -> list[Bool[Tensor, " answer"]]:
    """The part of `hits` under each assistant turn."""
    edges = torch.diff(said, prepend=said.new_zeros(1), append=said.new_zeros(1))
    return [hits[first:last] for first, last in zip((edges == 1).nonzero(), (edges == -1).nonzero(), strict=True)]
