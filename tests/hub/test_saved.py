"""The folder of a saved model: whole, checked, exact, and calibrated by an evaluation without harm to its checksums."""

from pathlib import Path

import pytest
import torch

from tests.hub.worlds import GREEN, RED, picture, save, statistics
from tests.torture.test_damage import require_named
from unicorn.errors import UserError
from unicorn.hub import UnicornForConditionalGeneration, UnicornProcessor
from unicorn.hub.picture_encoder import calibrate
from unicorn.hub.saved import check_model

CALIBRATION = statistics(RED, GREEN)


def test_every_file_is_under_the_checksums_but_the_calibrations(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", CALIBRATION)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if "image_statistics" not in path.parts:
            require_named(path, lambda: check_model(folder))


def test_a_calibration_leaves_the_checksums_right_and_outlives_a_saving(tmp_path: Path) -> None:
    folder = save(tmp_path / "model")
    before = (folder / "checksums.json").read_bytes()
    calibrate(folder / "vision", CALIBRATION)
    check_model(folder)
    save(folder)
    assert (folder / "checksums.json").read_bytes() == before
    asked = UnicornProcessor.from_pretrained(folder)(images=picture(RED), text="what is it ?")
    assert asked.image_embeds.shape == (1, 3)


def test_a_folder_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*file/model"):
        save(tmp_path / "file" / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_saved_and_loaded_its_logits_are_the_same_bit_for_bit(tmp_path: Path) -> None:
    logits = []
    inputs = {"input_ids": torch.tensor([[5, 2, 2, 7, 8, 12]]), "image_embeds": torch.eye(3)[:1]}
    for name in ("first", "second"):
        folder = save(tmp_path / name)
        model = UnicornForConditionalGeneration.from_pretrained(folder)
        if name == "second":
            model.save_pretrained(folder)
            model = UnicornForConditionalGeneration.from_pretrained(folder)
        logits.append(model(**inputs).logits)
    assert torch.equal(*logits)
