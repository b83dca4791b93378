"""What would end a later stage is told before the first begins, and before a model is loaded."""

from pathlib import Path
from typing import Any

import pytest

import synthesize
import train
from tests.conftest import run_script
from tests.training.tiny import ALIGN, FULL, LORA, Training
from unicorn.dataset import Part, UnicornDataset
from unicorn.errors import UserError
from unicorn.model.settings import Dtype
from unicorn.training.preflight import require
from unicorn.training.run import digests
from unicorn.training.trainer import Precision, Strategy, TrainerSettings


def asked(training: Training, *stages: Any, **changes: Any) -> None:
    given = {
        "model": training.settings(),
        "tokenizer": training.settings().tokenizer(),
        "dataset": training.dataset,
        "trainer": TrainerSettings(accelerator="cpu"),
    }
    require([stage.build() for stage in stages], **given | changes)


def test_a_dataset_without_instructions_can_be_aligned_on_and_says_so_before(
    training: Training, tmp_path: Path
) -> None:
    whole = training.dataset.path
    dataset, run = f"dataset={tmp_path / 'dataset'}", f"run={tmp_path / 'run'}"
    made = run_script(
        synthesize.synthesize, dataset, "seeds.count=40", "stages=[captions,embeddings]", "synthesis.densify=false"
    )
    assert made.code == 0, made.err
    refused = run_script(train.train, dataset, run)
    assert refused.code == 2
    assert refused.err.startswith("error: tune learns from instructions, and those of ")
    assert refused.err.rstrip().endswith(
        f"are missing. Make them by `python synthesize.py {dataset} stages=[instructions]` and an llm=, or leave tune "
        "out of stages."
    )
    assert not (tmp_path / "run" / "align").exists()
    # A stage that is finished is not asked: what is missing is another dataset than it learned from.
    there, gone = (digests(UnicornDataset.open(path), [Part.INSTRUCTIONS]) for path in (whole, tmp_path / "dataset"))
    assert there != gone


def test_all_stages_are_asked(training: Training) -> None:
    asked(training, ALIGN, LORA)
    silent = training.settings().tokenizer()
    silent.chat_template = None
    asked(training, ALIGN, tokenizer=silent)
    with pytest.raises(UserError, match=r"has no chat template"):
        asked(training, ALIGN, LORA, tokenizer=silent)
    with pytest.raises(UserError, match=r"model\.load_in_4bit=true: 4-bit weights cannot learn\. Choose tune=lora\."):
        asked(training, ALIGN, FULL, model=training.settings(load_in_4bit=True))
    asked(training, ALIGN, LORA, model=training.settings(load_in_4bit=True))


@pytest.mark.parametrize("strategy", list(Strategy))
@pytest.mark.parametrize("precision", list(Precision))
def test_weights_that_learn_in_bfloat16_have_float32_copies_or_are_chosen(
    training: Training, strategy: Strategy, precision: Precision
) -> None:
    trainer = TrainerSettings(accelerator="cpu", strategy=strategy, precision=precision)
    half = training.settings(dtype=Dtype.bfloat16)
    asked(training, ALIGN, LORA, model=half, trainer=trainer)
    asked(training, ALIGN, FULL, trainer=trainer)
    zero = strategy in (Strategy.zero2, Strategy.zero3)
    if precision is Precision.bf16 or (zero and precision is Precision.bf16_mixed):
        asked(training, ALIGN, FULL, model=half, trainer=trainer)
        return
    with pytest.raises(
        UserError,
        match=rf"tune trains the language model's weights in model\.dtype=bfloat16, and trainer\.strategy={strategy} "
        rf"with trainer\.precision={precision} keeps no float32 copies of them: .* Set model\.dtype=float32, or",
    ):
        asked(training, ALIGN, FULL, model=half, trainer=trainer)
