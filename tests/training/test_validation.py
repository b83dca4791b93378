"""What is measured on held-out samples, against one sample at a time and against transformers' own generation."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn.functional import cross_entropy

from tests.training.tiny import ALIGN, FULL, LORA, Training, read_rows
from unicorn.data.conversation import ConversationTokenizer
from unicorn.data.order import shuffled
from unicorn.errors import UserError
from unicorn.training.module import UnicornModule
from unicorn.training.validation import continued, retrieval
from unicorn.training.validation_settings import ValidationSettings
from unicorn.transfer.none import NoTransferSettings
from unicorn.transfer.transfer import NoiseKey, Transfer
from unicorn.transfer.zero import ZeroSettings

LONG = replace(ALIGN, epochs=6, learning_rate=0.05)


def likelihoods(training: Training, texts: Sequence[int], images: Sequence[int]) -> np.ndarray:
    """The log-likelihood of every caption with every image, one pair at a time, [texts, images]."""
    captions = list(training.dataset.captions())
    _, tokenizer = training.model()
    table = np.zeros((len(texts), len(images)))
    for row, text in enumerate(texts):
        words = tokenizer.encode(captions[text].text, add_special_tokens=False)
        ids = torch.tensor([[1, tokenizer.image_token_id, *words, 2]])
        for column, vector in enumerate(training.dataset.vectors(np.array(images))):
            with torch.no_grad():
                logits = training.trained(input_ids=ids, image_embeds=torch.from_numpy(vector)[None]).logits[0]
            table[row, column] = -float(cross_entropy(logits[1:-1], ids[0, 2:], reduction="sum"))
    return table


def words(training: Training, texts: Sequence[int]) -> int:
    """Supervised tokens of captions."""
    captions = list(training.dataset.captions())
    return sum(len(captions[text].text.split()) + 1 for text in texts)


def held_out_rows(training: Training) -> list[int]:
    rows = np.flatnonzero(~training.dataset.training_mask)
    return rows[shuffled(len(rows), 0, 0)].tolist()


def noise_of(row: int) -> NoiseKey:
    return NoiseKey(seed=0, epoch=0, rows=np.array([row]))


def fitted(training: Training, settings: NoTransferSettings | ZeroSettings) -> Transfer:
    return settings.fit(training.dataset.statistics, training.dataset.chunks())


def test_losses_and_retrieval_are_those_of_one_caption_with_one_image_at_a_time(training: Training) -> None:
    held_out = held_out_rows(training)
    size = len(held_out)
    assert size > 2
    metrics = training.run(
        "looks",
        LONG,
        transfer=fitted(training, NoTransferSettings()),
        validation=ValidationSettings(gallery=size, generations=0),
    )
    table = likelihoods(training, held_out, held_out)
    tokens = words(training, held_out)
    own, others = -table.trace() / tokens, -sum(table[row, (row + 1) % size] for row in range(size)) / tokens
    assert metrics["align/validation/loss"] == pytest.approx(own, abs=1e-5)
    assert metrics["align/validation/loss_shuffled"] == pytest.approx(others, abs=1e-5)
    assert abs(others - own) > 0.01  # or the two could not be told apart
    found = [
        max(range(size), key=lambda text: table[text, image] - sum(table[text]) / size) == image
        for image in range(size)
    ]
    assert metrics["align/validation/retrieval"] == pytest.approx(sum(found) / size)
    assert not list((training.folder / "looks" / "align").glob("generations.csv"))


@given(
    arrays(np.float64, (5, 5), elements=st.floats(-8, 0).map(lambda value: round(value, 3))),
    arrays(np.float64, 5, elements=st.floats(-100, 100)),
)
def test_captions_that_are_likely_anyway_win_nothing(table: np.ndarray, prior: np.ndarray) -> None:
    means = [sum(row) / 5 for row in table]
    hits = 0.0
    for image in range(5):
        column = [table[text, image] - means[text] for text in range(5)]
        close = [text for text in range(5) if column[text] > max(column) - 1e-9]
        hits += (image in close) / len(close)
    assert retrieval(np.round(table - np.array(means)[:, None], 9)) == pytest.approx(hits / 5)
    gaps = [abs(first - second) for image in range(5) for first, second in pairwise(sorted(table[:, image] - means))]
    if min(gaps) > 1e-6:  # without ties
        assert retrieval(table + prior[:, None]) == pytest.approx(hits / 5)


def test_who_cannot_tell_images_finds_captions_by_chance() -> None:
    assert retrieval(np.tile(np.arange(4.0)[:, None], 4)) == 1 / 4
    assert retrieval(np.eye(4)) == 1.0
    assert retrieval(np.roll(np.eye(4), 1, axis=0)) == 0.0


@pytest.mark.parametrize("stage", [ALIGN, FULL])
def test_generations_are_what_transformers_generates_of_the_trained_model(training: Training, stage: object) -> None:
    stages = (ALIGN,) if stage is ALIGN else (ALIGN, FULL)
    name = f"says-{len(stages)}"
    training.run(name, *stages, validation=ValidationSettings(generations=3, max_new_tokens=12))
    folder = training.folder / name / ("align" if stage is ALIGN else "tune")
    last = max(read_rows(folder / "metrics.csv"))
    with (folder / "generations.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["step"]) == last]
    assert len(rows) == 3
    _, tokenizer = training.model()
    conversation = ConversationTokenizer(tokenizer, 1)
    instructions = {each.id: each for each in training.dataset.instructions()}
    captions = {each.id: each for each in training.dataset.captions()}
    for row in rows:
        if stage is ALIGN:
            about, prompt = row["id"], [1, tokenizer.image_token_id]
            assert row["asked"] == ""
            assert row["reference"] == captions[about].text
        else:
            question, answer = instructions[row["id"]].messages[:2]
            about, prompt = instructions[row["id"]].caption_id, conversation.prompt([question])
            assert question.content in row["asked"]
            assert row["reference"].removesuffix(" <end>") == answer.content
        place = list(captions).index(about)
        vector = training.transfer.text(training.dataset.vectors(np.array([place])), None, noise_of(place))
        generated = training.trained.generate(  # type: ignore[operator]
            input_ids=torch.tensor([prompt]),
            image_embeds=torch.from_numpy(vector),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.int64),
            max_new_tokens=12,
            do_sample=False,
            eos_token_id=[2, tokenizer.convert_tokens_to_ids("<end>")] if stage is FULL else 2,
        )[0, len(prompt) :]
        said = [token for token in generated.tolist() if token != 2]
        assert row["generated"] == tokenizer.decode(said, skip_special_tokens=True).removesuffix(" <end>")


@pytest.mark.parametrize("stage", [ALIGN, LORA])
def test_every_so_many_steps_and_at_an_epoch_s_end_and_it_changes_nothing(training: Training, stage: object) -> None:
    stages = (ALIGN,) if stage is ALIGN else (ALIGN, LORA)
    folder = "align" if stage is ALIGN else "tune"
    often, seldom = f"often-{folder}", f"seldom-{folder}"
    training.run(often, *stages, validation=ValidationSettings(every=3, gallery=2, max_new_tokens=2))
    training.run(seldom, *stages, validation=ValidationSettings(gallery=0, generations=0))
    validated = [
        [step for step, row in read_rows(training.folder / name / folder / "metrics.csv").items() if row[key]]
        for name, key in ((often, "validation/retrieval"), (often, "validation/loss"), (seldom, "validation/loss"))
    ]
    assert validated == [[3, 4, 6, 8], [3, 4, 6, 8], [4, 8]]
    weights, others = training.weights(often, folder), training.weights(seldom, folder)
    assert all(torch.equal(weight, others[name]) for name, weight in weights.items())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"every": 0}, r"validation\.every=0 is too few: 1 at least"),
        ({"gallery": 1}, r"validation\.gallery=1: among one sample each image finds its own\. Choose 2 at least"),
    ],
)
def test_wrong_settings_are_one_line(wrong: dict[str, int], said: str) -> None:
    with pytest.raises(UserError, match=said):
        ValidationSettings(**wrong)  # type: ignore[arg-type]


def test_who_sees_no_image_loses_nothing_by_another(training: Training) -> None:
    blind = training.run("blind", ALIGN, transfer=fitted(training, ZeroSettings()))
    assert blind["align/validation/loss_shuffled"] == pytest.approx(blind["align/validation/loss"], abs=1e-6)


def test_what_is_written_holds_no_image_however_likely_it_is(training: Training) -> None:
    model, tokenizer = training.model()
    assert model.generation_config.suppress_tokens == [tokenizer.image_token_id]
    image = 20  # in place of one that the tiny model's head does not know
    model.config.image_token_id, model.generation_config.suppress_tokens = image, [image]
    loud = torch.tensor([image])
    model.get_output_embeddings().register_forward_hook(lambda _, __, logits: logits.index_fill(-1, loud, 1e9))
    vectors = torch.from_numpy(training.dataset.vectors(np.array([0])))
    prompt = [1, image]
    written = model.generate(input_ids=torch.tensor([prompt]), image_embeds=vectors, max_new_tokens=3, do_sample=False)
    module = SimpleNamespace(
        device=torch.device("cpu"),
        model=model,
        data=SimpleNamespace(images=lambda _: vectors),
        on_device=lambda images: images,
        forward_wrapped=lambda pack, logits_to_keep: model(
            input_ids=pack.input_ids,
            position_ids=pack.position_ids,
            image_embeds=pack.image_embeds,
            logits_to_keep=logits_to_keep,
        ),
    )
    (tokens,) = continued(cast("UnicornModule", module), [prompt], np.array([0]), 3)
    assert image not in tokens
    assert tokens[: len(written[0]) - 2] == written[0, 2:].tolist()
