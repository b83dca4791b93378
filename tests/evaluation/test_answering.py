"""Batched answers, against one token at a time."""

import numpy as np
import pytest
import torch

from tests.evaluation.tiny_model import WORDS, tiny_model
from unicorn.evaluation.answering import ModelAnswerer
from unicorn.model.modeling import UnicornForConditionalGeneration

QUESTIONS = [
    "what color ?",
    "is it red ?",
    "what ?",
    "is it red or is it green or is it blue ?",
    "what color is it ?",
]


def _step_by_step(model: UnicornForConditionalGeneration, question: str, vector: np.ndarray, tokens: int) -> str:
    """The greedy answer without batch, padding or cache."""
    prompt = f"user <image> <image> {question} <eos> assistant"
    ids = [WORDS.index(word) if word in WORDS else WORDS.index("?") for word in prompt.split()]
    answer: list[str] = []
    with torch.no_grad():
        for _ in range(tokens):
            logits = model(
                input_ids=torch.tensor([ids]), image_embeds=torch.from_numpy(vector)[None], use_cache=False
            ).logits
            ids.append(int(logits[0, -1].argmax()))
            if WORDS[ids[-1]] == "<eos>":
                break
            answer.append(WORDS[ids[-1]])
    return " ".join(word for word in answer if word not in ("<pad>", "<image>"))


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_answers_do_not_depend_on_the_batch(batch_size: int) -> None:
    rng = np.random.default_rng(0)
    questions = QUESTIONS * 3
    vectors = rng.normal(size=(len(questions), 3)).astype(np.float32) * 3
    answerer = ModelAnswerer(*tiny_model(), batch_size=batch_size, max_new_tokens=5)
    answers = answerer.answer(questions, vectors)
    model, _ = tiny_model()
    expected = [_step_by_step(model, question, vector, 5) for question, vector in zip(questions, vectors, strict=True)]
    assert answers == expected
    assert len(set(answers)) > 3  # the question and the vector matter


def test_a_question_may_be_asked_again() -> None:
    answerer = ModelAnswerer(*tiny_model(), batch_size=2, max_new_tokens=3)
    vector = np.ones((1, 3), np.float32)
    assert len(set(answerer.answer(["what ?"] * 5, np.repeat(vector, 5, axis=0)))) == 1
