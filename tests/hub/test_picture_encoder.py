"""Tower and centring as they travel with a model: exact, checked, and honest about what they lack."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.encoder import tiny_llm2clip, tiny_towers
from tests.hub.worlds import GREEN, GREY, RED, ColourSettings, picture, picture_encoder, statistics
from tests.torture.test_damage import require_named
from unicorn.errors import UserError
from unicorn.hub.picture_encoder import PictureEncoder, calibrate
from unicorn.stamp import write_sealed
from unicorn.transfer import Statistics
from unicorn.transfer.none import NoTransferSettings

CALIBRATION = statistics(RED, GREEN, GREY)


def test_without_a_mean_a_picture_is_refused_and_a_calibration_mends_it(tmp_path: Path) -> None:
    picture_encoder().save(tmp_path)
    with pytest.raises(UserError, match=r"subtracts the mean of image vectors, and none is known\. Calibrate it: "):
        PictureEncoder.load(tmp_path).encode([picture(RED)])
    for mean in (statistics(GREY), CALIBRATION):  # the second takes the place of the first
        calibrate(tmp_path, replace(mean, covariance=np.eye(3)))
    loaded = PictureEncoder.load(tmp_path)
    assert loaded.calibration is not None
    assert loaded.calibration.covariance is None
    assert torch.equal(loaded.encode([picture(RED)]), picture_encoder(CALIBRATION).encode([picture(RED)]))


def test_a_transfer_without_a_mean_needs_no_calibration(tmp_path: Path) -> None:
    plain = NoTransferSettings().fit(CALIBRATION, [])
    PictureEncoder(encoder=ColourSettings(), transfer=plain).save(tmp_path)
    vectors = PictureEncoder.load(tmp_path).encode([picture(RED)])
    torch.testing.assert_close(vectors, torch.nn.functional.normalize(torch.tensor([[200.0, 10.0, 20.0]])))


def test_a_calibration_of_another_space_is_refused() -> None:
    elsewhere = replace(CALIBRATION, space="elsewhere")
    with pytest.raises(UserError, match=r"vectors of elsewhere .* do not mix with those of colours"):
        picture_encoder(elsewhere).encode([picture(RED)])


def test_every_file_of_it_is_named(tmp_path: Path) -> None:
    picture_encoder(CALIBRATION).save(tmp_path)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(names) == 5
    for name in names:
        # Without the first it is not calibrated, and without the second there is no transfer, as it says.
        but = "missing" if name.endswith(("statistics.json", "transfer.json")) else ""
        require_named(tmp_path / name, lambda: PictureEncoder.load(tmp_path), but)


def test_towers_that_are_others_here_are_refused(tmp_path: Path) -> None:
    eyes = picture_encoder()
    replace(eyes, encoder=ColourSettings(space="colours-2")).save(tmp_path)
    with pytest.raises(UserError, match=r"was trained in colours, and the encoder that it names is colours-2 here\."):
        PictureEncoder.load(tmp_path)


@pytest.mark.parametrize(
    ("encoder", "said"),
    [
        ({"kind": "not.installed.Settings"}, "cannot be imported"),
        ({"kind": "tests.hub.worlds.ColourSettings", "scale": "much"}, "wrong value for 'scale'"),
    ],
)
def test_an_encoder_that_cannot_be_made_here_is_one_line(tmp_path: Path, encoder: dict[str, str], said: str) -> None:
    picture_encoder().save(tmp_path)
    write_sealed(tmp_path / "encoder.json", {"space": "colours", "encoder": encoder})
    with pytest.raises(UserError, match=rf"encoder\.json names an encoder that cannot be made here: .*{said}"):
        PictureEncoder.load(tmp_path)


@pytest.mark.parametrize("kind", ["clip", "siglip2", "llm2clip"])
def test_a_tower_that_was_copied_along_needs_its_checkpoint_no_more(tmp_path: Path, kind: str) -> None:
    save = {"clip": tiny_towers.save_clip, "siglip2": tiny_towers.save_siglip, "llm2clip": tiny_llm2clip.save}[kind]
    encoder = save(tmp_path / "checkpoint")
    eyes = picture_encoder(encoder=encoder)
    vectors = encoder.image_tower().encode([picture(RED), picture(GREEN)]).numpy()
    eyes = replace(eyes, calibration=Statistics.of(encoder.space, vectors))
    eyes.save(tmp_path / "vision")
    expected = eyes.encode([picture(RED)])
    assert torch.equal(PictureEncoder.load(tmp_path / "vision").encode([picture(RED)]), expected)
    eyes.copy_towers(tmp_path / "vision")
    (tmp_path / "checkpoint").rename(tmp_path / "gone")
    (tmp_path / "vision").rename(tmp_path / "moved")
    assert torch.equal(PictureEncoder.load(tmp_path / "moved").encode([picture(RED)]), expected)
    assert not re.search(str(tmp_path), (tmp_path / "moved" / "encoder.json").read_text())
