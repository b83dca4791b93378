"""The loss and its gradient depend on the samples of a step, never on how they are spread over packs and ranks."""

import numpy as np
import pytest
import torch

from tests.training.tiny import Training
from unicorn.data.batch import Collator
from unicorn.data.conversation import ConversationTokenizer
from unicorn.data.loader import StepDataset
from unicorn.data.order import Order
from unicorn.data.samples import Samples, instruction_samples, write_samples


def steps(training: Training, *, row_length: int, rows_per_pack: int, ranks: int) -> list[StepDataset]:
    """The step datasets of all ranks."""
    _, tokenizer = training.model()
    conversation = ConversationTokenizer(tokenizer, 1)
    path = training.folder / "samples" / "samples.arrow"
    if not path.exists():
        samples = instruction_samples(training.dataset, conversation)
        write_samples(path, samples, row_length=50, placeholders=(conversation.image_token_id, 1))
    samples = Samples(path, training.dataset)
    collator = Collator(
        samples=samples,
        chosen=np.arange(len(samples)),
        pictured=samples.rows,
        dataset=training.dataset,
        transfer=training.transfer,
        image_token_id=conversation.image_token_id,
        visual_tokens=1,
        seed=0,
    )
    return [
        StepDataset(
            order=Order(samples=len(samples), batch=25, seed=0),
            collator=collator,
            row_length=row_length,
            rows_per_pack=rows_per_pack,
            rank=rank,
            ranks=ranks,
        )
        for rank in range(ranks)
    ]


def loss_and_gradients(training: Training, step: int, **packing: int) -> tuple[float, dict[str, torch.Tensor]]:
    """Summed over the packs of all ranks."""
    model, _ = training.model()
    total = 0.0
    for dataset in steps(training, **packing):
        batch = dataset[step]
        for pack in batch.packs:
            loss = model(
                input_ids=pack.input_ids,
                position_ids=pack.position_ids,
                image_embeds=pack.image_embeds,
                labels=pack.labels,
                num_items_in_batch=batch.supervised,
                use_cache=False,
            ).loss
            loss.backward()
            total += loss.item()
    return total, {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("step", [0, 2])  # the last of an epoch holds 14 samples, not 25
@pytest.mark.parametrize(("row_length", "rows_per_pack", "ranks"), [(50, 1, 1), (200, 4, 1), (64, 3, 2), (64, 100, 40)])
def test_packs_and_ranks_change_nothing(
    training: Training, step: int, row_length: int, rows_per_pack: int, ranks: int
) -> None:
    loss, gradients = loss_and_gradients(training, step, row_length=50, rows_per_pack=1000, ranks=1)
    other, others = loss_and_gradients(training, step, row_length=row_length, rows_per_pack=rows_per_pack, ranks=ranks)
    assert other == pytest.approx(loss, abs=1e-6)
    assert gradients.keys() == others.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, atol=1e-6, rtol=1e-4)


def test_the_loss_is_the_mean_over_the_tokens_of_samples_fed_one_by_one(training: Training) -> None:
    (dataset,) = steps(training, row_length=50, rows_per_pack=8, ranks=1)
    model, _ = training.model()
    total, tokens = 0.0, 0
    for sample in dataset[0].samples:
        pack = dataset.collator([[sample]], epoch=0)
        logits = model(input_ids=pack.input_ids, image_embeds=pack.image_embeds).logits[0].log_softmax(-1)
        for position, label in enumerate(pack.labels[0].tolist()):
            if label != -100:
                total -= logits[position - 1, label].item()
                tokens += 1
    loss, _ = loss_and_gradients(training, 0, row_length=50, rows_per_pack=8, ranks=1)
    assert tokens == dataset[0].supervised
    assert loss == pytest.approx(total / tokens, abs=1e-5)


def test_noise_is_drawn_anew_each_epoch_and_the_same_when_asked_again(training: Training) -> None:
    (dataset,) = steps(training, row_length=50, rows_per_pack=8, ranks=1)
    pack = [[0, 1], [2]]
    first, again = dataset.collator(pack, 0).image_embeds, dataset.collator(pack, 0).image_embeds
    assert torch.equal(first, again)
    assert torch.equal(dataset.collator([[2], [0, 1]], 0).image_embeds[1:], first[:2])
    assert not torch.equal(dataset.collator(pack, 1).image_embeds, first)
