"""Stages from start to end: what they change, what they leave, what they refuse."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from tests.training.tiny import ALIGN, FULL, LORA, Training, make_dataset
from unicorn.data.conversation import ConversationTokenizer
from unicorn.data.settings import DataSettings
from unicorn.dataset import DatasetWriter, Embeddings, UnicornDataset, is_training
from unicorn.errors import UserError
from unicorn.files import locate
from unicorn.hub.processor import UnicornProcessor
from unicorn.hub.saved import save_model
from unicorn.model.modeling import UnicornForConditionalGeneration
from unicorn.records import Caption, Instruction, Message, Role, Task
from unicorn.training.record import StageRecord
from unicorn.training.trainer import TrainerSettings


def test_align_changes_the_projector_alone(training: Training) -> None:
    before, _ = training.model()
    metrics = training.run("align", replace(ALIGN, epochs=5, learning_rate=0.05))
    learned = training.trained.state_dict()
    for name, weight in before.state_dict().items():
        assert torch.equal(learned[name], weight) != name.startswith("projector."), name
    losses = [float(loss.split()[0]) for loss in training.losses("align", "align").values()]
    assert len(losses) == metrics["align/steps"] == 5 * math.ceil(training_samples(training) / 16)
    assert losses[-1] < losses[0] - 0.05
    assert metrics["align/loss"] == pytest.approx(losses[-1])


def training_samples(training: Training) -> int:
    return int(training.dataset.training_mask.sum())


def test_no_epoch_of_align_leaves_a_projector_that_tune_can_start_from(training: Training) -> None:
    before, _ = training.model()
    metrics = training.run("skipped", replace(ALIGN, epochs=0))
    assert metrics["align/steps"] == 0
    assert metrics["align/samples"] == training_samples(training)
    assert metrics["align/held_out"] == 64 - training_samples(training) > 0
    for name, weight in training.trained.state_dict().items():
        assert torch.equal(weight, before.state_dict()[name])
    assert training.run("skipped", replace(ALIGN, epochs=0), FULL)["tune/steps"] > 0


@pytest.mark.parametrize("settings", [LORA, FULL])
def test_tune_learns_from_where_align_ended(training: Training, settings: object) -> None:
    name = type(settings).__name__
    training.run(name, ALIGN)
    aligned = {key: weight.clone() for key, weight in training.trained.state_dict().items()}
    metrics = training.run(name, ALIGN, settings)  # type: ignore[arg-type]
    assert isinstance(training.trained, UnicornForConditionalGeneration)
    tuned = training.trained.state_dict()
    assert tuned.keys() == aligned.keys()  # adapters are merged
    changed = {key for key, weight in aligned.items() if not torch.equal(weight, tuned[key])}
    assert any("projector" in key for key in changed)
    assert any("q_proj" in key for key in changed)
    losses = [float(loss.split()[0]) for loss in training.losses(name, "tune").values()]
    assert losses[-1] < losses[0] - 0.2
    assert metrics["tune/validation/loss"] < losses[0]


def test_the_projector_has_a_learning_rate_of_its_own(training: Training) -> None:
    training.run("frozen", ALIGN)
    projector = training.trained.projector.state_dict()
    training.run("frozen", ALIGN, replace(LORA, projector_learning_rate=0.0))
    for name, weight in training.trained.projector.state_dict().items():
        assert torch.equal(weight, projector[name])


def test_a_finished_stage_is_read_back_not_run_again(training: Training) -> None:
    first = training.run("finished", ALIGN, LORA)
    weights = {key: weight.clone() for key, weight in training.trained.state_dict().items()}
    written = {path: path.stat().st_mtime_ns for path in (training.folder / "finished").rglob("*")}
    assert not list((training.folder / "finished").rglob("*.ckpt"))
    assert training.run("finished", ALIGN, LORA) == first
    assert all(torch.equal(weight, weights[key]) for key, weight in training.trained.state_dict().items())
    assert {path: path.stat().st_mtime_ns for path in (training.folder / "finished").rglob("*")} == written
    assert training.run("finished", LORA).keys() < first.keys()  # tune alone finds align in the run
    assert all(torch.equal(weight, weights[key]) for key, weight in training.trained.state_dict().items())


def test_the_saved_model_answers_like_the_trained_one(training: Training) -> None:
    training.run("saved", ALIGN)
    _, tokenizer = training.model()
    for _ in range(2):  # the second replaces the first
        save_model(training.folder / "saved" / "model", training.trained, UnicornProcessor(tokenizer))
    loaded = UnicornForConditionalGeneration.from_pretrained(training.folder / "saved" / "model").eval()
    inputs = {"input_ids": torch.tensor([[1, tokenizer.image_token_id, 7]]), "image_embeds": torch.ones(1, 8)}
    torch.testing.assert_close(loaded(**inputs).logits, training.trained(**inputs).logits)


def test_other_settings_under_the_same_name_are_refused(training: Training) -> None:
    training.run("mixed", ALIGN)
    with pytest.raises(UserError, match=r"settings\.learning_rate was 0\.005 and is 0\.1.*another name="):
        training.run("mixed", replace(ALIGN, learning_rate=0.1))
    with pytest.raises(UserError, match=r"seed was 0 and is 1"):
        training.run("mixed", ALIGN, seed=1)
    with pytest.raises(UserError, match=r"made_by|model was 'tiny' and is 'other'"):
        training.run("mixed", LORA, made_by={"model": "other"})  # align was made with another model
    shift, noise = ({"transfer": {"kind": f"a.{name}.{name}Settings", name: 1}} for name in ("shift", "noise"))
    training.run("shifted", ALIGN, made_by=shift)
    with pytest.raises(UserError, match=r"other settings: transfer was 'shift' and is 'noise'\. Choose"):
        training.run("shifted", ALIGN, made_by=noise)
    packed_otherwise = DataSettings(row_length=64, rows_per_pack=7)
    training.run("mixed", ALIGN, data=packed_otherwise)  # which changes no loss


def test_weights_of_another_model_are_refused(training: Training) -> None:
    training.run("grown", ALIGN)
    record = StageRecord(training.folder / "grown" / "align")
    with pytest.raises(UserError, match=r"weights\.safetensors does not fit: the model has no projector\."):
        record.restore(torch.nn.Linear(1, 1))


def test_tune_without_align_is_refused(training: Training) -> None:
    with pytest.raises(UserError, match=r"tune starts from what align learned.*Add align to stages"):
        training.run("unaligned", LORA)


def test_a_gradient_that_is_not_finite_names_step_and_samples(training: Training) -> None:
    with pytest.raises(
        UserError,
        match=r"the (loss|gradient) of align step \d is not finite\. Its samples: n\d\d, .* and 8 more\. .*"
        r"Good until .*checkpoints/step-0000000\d\.ckpt",
    ):
        training.run(
            "nan", replace(ALIGN, learning_rate=1e30), trainer=TrainerSettings(accelerator="cpu", checkpoint_every=1)
        )
    with pytest.raises(UserError, match=r"is not finite\. .*There is no checkpoint before\."):
        training.run("at once", replace(ALIGN, learning_rate=1e30))


def test_a_validation_loss_that_is_not_finite_is_one_line(training: Training) -> None:
    """One step, at the whole learning rate, of which the weights are lost and no gradient tells."""
    ruinous = replace(ALIGN, batch=100, epochs=1, warmup_ratio=0.0, learning_rate=1e30)
    with pytest.raises(UserError, match=r"the validation loss of align is (nan|inf)\. Lower its learning rate"):
        training.run("ruined", ruinous)


def test_captions_of_which_none_is_trained_on_are_refused(training: Training, tmp_path: Path) -> None:
    short, long = "the cube", " and ".join(["the cube"] * 20)
    captions = [
        Caption(id=name, text=text, domain="open", generator="test", prompt_version="1")
        for name, text in (("63", short), ("a", long))
    ]
    assert [is_training(caption.id) for caption in captions] == [False, True]
    with DatasetWriter(tmp_path / "held_out") as writer:
        parts = writer.captions({}), writer.embeddings("tiny", {})
        parts[0].write(0, captions)
        parts[0].complete(1)
        parts[1].write(0, Embeddings(ids=["63", "a"], vectors=np.eye(2, 8, dtype=np.float32)))
        parts[1].complete(1)
    dataset = UnicornDataset.open(tmp_path / "held_out")
    with pytest.raises(UserError, match=r"no sample of the training split in .*held_out: synthesise more captions"):
        training.run("held_out", ALIGN, dataset=dataset, data=DataSettings(row_length=16))


def test_what_cannot_be_trained_on_is_counted_and_named(training: Training) -> None:
    metrics = training.run("rejects", replace(ALIGN, epochs=1), data=DataSettings(row_length=16))
    lines = (training.folder / "rejects" / "align" / "rejects.jsonl").read_text().splitlines()
    rejects = [json.loads(line) for line in lines]
    assert metrics["align/rejected"] == len(rejects) > 0
    assert metrics["align/samples"] + metrics["align/held_out"] + len(rejects) == len(training.dataset)
    assert all("more than data.row_length=16" in reject["reason"] for reject in rejects)
    too_long = {caption.id for caption in training.dataset.captions() if len(caption.text.split()) + 3 > 16}
    assert {reject["id"] for reject in rejects} == too_long


def test_an_odd_conversation_is_turned_away_by_id_and_the_others_are_learned(
    training: Training, tmp_path: Path
) -> None:
    said = {
        "good": ("what is it ?", "a red cube ."),
        "silent": ("what is it ?", ""),
        "closing": ("what is it ?", "a cube <eos> <user> what is it ?"),
        "pictured": ("what is it ?", "a <image>"),
        "doubled": ("<image> what is it ? <image>", "a red cube ."),
    }
    caption = next(training.dataset.captions())
    instructions = [
        Instruction(
            id=name,
            caption_id=caption.id,
            task=Task.QUESTION_ANSWERING,
            messages=(Message(role=Role.USER, content=question), Message(role=Role.ASSISTANT, content=answer)),
        )
        for name, (question, answer) in said.items()
    ]
    with DatasetWriter(tmp_path / "odd") as writer:
        parts = writer.captions({}), writer.instructions({}), writer.embeddings("tiny", {})
        parts[0].write(0, [caption])
        parts[1].write(0, instructions)
        parts[2].write(0, Embeddings(ids=[caption.id], vectors=np.eye(1, 8, dtype=np.float32)))
        for part in parts:
            part.complete(1)
    metrics = training.run("odd", replace(ALIGN, epochs=0), FULL, dataset=UnicornDataset.open(tmp_path / "odd"))
    assert (metrics["tune/samples"], metrics["tune/rejected"]) == (1, 4)
    lines = (training.folder / "odd" / "tune" / "rejects.jsonl").read_text().splitlines()
    assert {line["id"]: line["reason"] for line in map(json.loads, lines)} == {
        "silent": "turn 2 is an empty answer",
        "closing": "turn 2 contains <eos>, a special token",
        "pictured": "an answer comes before the image, or holds it",
        "doubled": "2 images where one belongs",
    }


def test_a_run_keeps_to_its_chat_template_and_hands_it_on(training: Training) -> None:
    asked = locate("package:unicorn.data/chat_templates/vicuna.jinja")
    training.run("asked", ALIGN)
    model, tokenizer = training.model(chat_template=asked)
    with pytest.raises(UserError, match=r"chat_template was '\w+' and is '\w+'"):
        training.run("asked", ALIGN, tokenizer=tokenizer)
    save_model(training.folder / "vicuna" / "model", model, UnicornProcessor(tokenizer))
    read = AutoTokenizer.from_pretrained(training.folder / "vicuna" / "model")
    question = [Message(role=Role.USER, content="what is it ?")]
    prompts = [ConversationTokenizer(each, 1).prompt(question) for each in (tokenizer, read)]
    assert prompts[0] == prompts[1]
    assert "USER:" in read.apply_chat_template([{"role": "user", "content": "a"}], tokenize=False)


def test_without_held_out_captions_there_is_no_validation(training: Training, tmp_path: Path) -> None:
    few = make_dataset(tmp_path / "few", count=2)
    assert few.training_mask.all()
    metrics = training.run("few", ALIGN, dataset=few)
    assert "align/loss" in metrics
    assert "align/validation/loss" not in metrics


def test_when_nothing_fits_the_run_says_so(training: Training) -> None:
    reason = r"which begins with: \d+ tokens, more than data\.row_length=4"
    with pytest.raises(UserError, match=rf"no sample of .* can be trained on: see .*rejects\.jsonl, {reason}"):
        training.run("nothing", ALIGN, data=DataSettings(row_length=4))


def test_packs_change_no_loss_and_no_weight(training: Training) -> None:
    settings = replace(ALIGN, epochs=1)
    training.run("packed", settings, FULL, data=DataSettings(row_length=64, rows_per_pack=100))
    training.run("spread", settings, FULL, data=DataSettings(row_length=64, rows_per_pack=1))
    for stage in ("align", "tune"):
        packed, spread = (training.losses(name, stage).values() for name in ("packed", "spread"))
        for one, other in zip(packed, spread, strict=True):
            assert [float(loss) for loss in one.split()] == pytest.approx(
                [float(loss) for loss in other.split()], abs=1e-5
            )
        weights = training.weights("packed", stage)
        for name, weight in training.weights("spread", stage).items():
            torch.testing.assert_close(weight, weights[name], atol=1e-4, rtol=1e-3)


@pytest.mark.slow
def test_workers_change_nothing(training: Training) -> None:
    settings = replace(ALIGN, epochs=1)
    training.run("alone", settings)
    training.run("helped", settings, data=DataSettings(row_length=64, rows_per_pack=1, workers=2))
    assert training.losses("alone", "align") == training.losses("helped", "align")
