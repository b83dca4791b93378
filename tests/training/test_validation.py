"""The held-out losses, with a sample's own image and with another's, against one sample at a time."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.training.tiny import ALIGN, Training
from unicorn.data.order import shuffled
from unicorn.transfer.none import NoTransferSettings
from unicorn.transfer.transfer import Transfer
from unicorn.transfer.zero import ZeroSettings

LONG = replace(ALIGN, epochs=6, learning_rate=0.05)


def by_hand(training: Training, shown: Sequence[int], held_out: Sequence[int]) -> float:
    """The mean cross-entropy of the held-out captions' tokens, the images those of the rows `shown`."""
    captions = list(training.dataset.captions())
    vectors = training.dataset.vectors(np.array(shown))
    _, tokenizer = training.model()
    summed, tokens = 0.0, 0
    for row, vector in zip(held_out, vectors, strict=True):
        words = tokenizer.encode(captions[row].text, add_special_tokens=False)
        ids = torch.tensor([[1, tokenizer.image_token_id, *words, 2]])
        with torch.no_grad():
            logits = training.trained(input_ids=ids, image_embeds=torch.from_numpy(vector)[None]).logits[0]
        summed += float(cross_entropy(logits[1:-1], ids[0, 2:], reduction="sum"))
        tokens += len(words) + 1
    return summed / tokens


def fitted(training: Training, settings: NoTransferSettings | ZeroSettings) -> Transfer:
    return settings.fit(training.dataset.statistics, training.dataset.chunks())


def test_shuffled_images_are_those_of_the_next_held_out_sample(training: Training) -> None:
    metrics = training.run("looks", LONG, transfer=fitted(training, NoTransferSettings()))
    rows = np.flatnonzero(~training.dataset.training_mask)
    held_out = rows[shuffled(len(rows), 0, 0)].tolist()
    assert len(held_out) > 2
    own, others = (by_hand(training, shown, held_out) for shown in (held_out, held_out[1:] + held_out[:1]))
    assert metrics["align/validation/loss"] == pytest.approx(own, abs=1e-5)
    assert metrics["align/validation/loss_shuffled"] == pytest.approx(others, abs=1e-5)
    assert abs(others - own) > 0.01  # or the two could not be told apart


def test_who_sees_no_image_loses_nothing_by_another(training: Training) -> None:
    blind = training.run("blind", ALIGN, transfer=fitted(training, ZeroSettings()))
    assert blind["align/validation/loss_shuffled"] == pytest.approx(blind["align/validation/loss"], abs=1e-6)
