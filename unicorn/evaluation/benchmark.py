"""One benchmark, from pictures to findings.

Every question is answered three times: about its picture, about another picture, and about a vector of zeros.
`baseline/blind` is the better of two ways to do without a picture: the answers about zeros, and the usual
answer to each question template.
"""

import random
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float

from unicorn.encoder.tower import ImageTower
from unicorn.evaluation.answering import Answerer
from unicorn.evaluation.baselines import majority_answers, other_pictures
from unicorn.evaluation.page import accuracy_section, highlights, samples_section
from unicorn.evaluation.pictures import encode_pictures
from unicorn.evaluation.task import Benchmark, Example, Findings
from unicorn.transfer.transfer import ImageCentring

Answers = dict[str, list[str]]
Scores = dict[str, Bool[np.ndarray, " n"]]


def run_benchmark(
    benchmark: Benchmark,
    answerer: Answerer,
    tower: ImageTower,
    centring: ImageCentring,
    *,
    name: str,
    seed: int,
    samples: int,
) -> Findings:
    """Encode the pictures, centre them, ask every question, and score the answers beside the baselines.

    `samples` questions, chosen by `seed` whatever their answers, are shown in the report.
    """
    examples = benchmark.examples()
    shown = _spread_over_types(examples, samples, seed)
    pictures = encode_pictures(benchmark.pictures(), tower, show={example.picture for example in shown})
    centring.observe(pictures.vectors, pictures.domains)
    vectors = centring.transform(pictures.vectors)
    row = {picture: index for index, picture in enumerate(pictures.ids)}
    rows = np.array([row[example.picture] for example in examples])
    other = other_pictures(len(vectors), seed)[rows]

    questions = [example.prompt for example in examples]
    answers = {
        "model": answerer.answer(questions, vectors[rows]),
        "shuffled": answerer.answer(questions, vectors[other]),
        "zero": _answer_blind(answerer, questions, np.zeros_like(vectors[0])),
        "majority": majority_answers(examples),
    }
    correct = {
        who: np.array([benchmark.score(example, answer) for example, answer in zip(examples, given, strict=True)])
        for who, given in answers.items()
    }
    metrics = _metrics(benchmark, examples, correct) | {"questions": len(examples), "pictures": len(vectors)}
    predictions = _predictions(examples, answers, correct, [pictures.ids[index] for index in map(int, other)])
    return Findings(
        metrics=metrics,
        highlights=highlights(metrics),
        sections=[accuracy_section(name, metrics), samples_section(shown, pictures, predictions)],
        predictions=predictions,
        image_statistics=centring.statistics(),
    )


def _spread_over_types(examples: Sequence[Example], count: int, seed: int) -> list[Example]:
    """Up to `count` examples, the types taking turns."""
    of_type = defaultdict[str, list[Example]](list)
    for example in random.Random(seed).sample(examples, len(examples)):
        of_type[example.type].append(example)
    turns = [(turn, name, example) for name, group in of_type.items() for turn, example in enumerate(group)]
    return [example for _, _, example in sorted(turns, key=lambda item: item[:2])[:count]]


def _answer_blind(answerer: Answerer, questions: Sequence[str], zero: Float[np.ndarray, " d"]) -> list[str]:
    """Answers about zeros, which depend on the question alone: each distinct one is asked once."""
    distinct = list(dict.fromkeys(questions))
    answers = answerer.answer(distinct, np.tile(zero, (len(distinct), 1)))
    answer = dict(zip(distinct, answers, strict=True))
    return [answer[question] for question in questions]


def _metrics(benchmark: Benchmark, examples: Sequence[Example], correct: Scores) -> dict[str, float]:
    """The benchmark's numbers and, for each accuracy, its baselines: `baseline/<name>/<type>`."""
    metrics = benchmark.aggregate(examples, correct["model"])
    for who in ("majority", "zero", "shuffled"):
        for key, value in benchmark.aggregate(examples, correct[who]).items():
            if key == "accuracy" or key.startswith("accuracy/"):
                metrics[f"baseline/{who}{key.removeprefix('accuracy')}"] = value
    suffixes = [key.removeprefix("accuracy") for key in metrics if key == "accuracy" or key.startswith("accuracy/")]
    for suffix in suffixes:
        metrics[f"baseline/blind{suffix}"] = max(metrics[f"baseline/{who}{suffix}"] for who in ("majority", "zero"))
    return metrics


def _predictions(examples: Sequence[Example], answers: Answers, correct: Scores, other: Sequence[str]) -> pa.Table:
    columns: dict[str, Sequence[object]] = {
        key: [getattr(example, key) for example in examples]
        for key in ("id", "picture", "type", "template", "prompt", "reference")
    }
    columns |= {
        "prediction": answers["model"],
        "correct": correct["model"].tolist(),
        "shuffled_picture": other,
    }
    for who in ("shuffled", "zero", "majority"):
        columns |= {f"{who}_prediction": answers[who], f"{who}_correct": correct[who].tolist()}
    return pa.table(columns)
