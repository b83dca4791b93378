"""The towers of the world at work, here with random weights, saved as the package ships them."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from unicorn.scenes import encoder as encoder_module
from unicorn.scenes.benchmark import SceneBenchmarkSettings
from unicorn.scenes.encoder import SceneEncoderSettings
from unicorn.scenes.tokenizer import build_tokenizer
from unicorn.scenes.towers import ImageTower, ImageTowerConfig, TextTower, TextTowerConfig

PICTURES = list(SceneBenchmarkSettings(count=7).build().pictures())
CAPTIONS = [picture.caption for picture in PICTURES]


@pytest.fixture(scope="module", autouse=True)
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder_module, "WEIGHTS", folder)
        save_towers(folder, seed=0)
        yield folder


def save_towers(folder: Path, seed: int) -> None:
    torch.manual_seed(seed)
    tokenizer = build_tokenizer()
    ImageTower(ImageTowerConfig()).half().save_pretrained(folder / "image_tower")
    TextTower(TextTowerConfig(vocab_size=len(tokenizer))).half().save_pretrained(folder / "text_tower")
    tokenizer.save_pretrained(folder / "text_tower")


def test_vectors_have_unit_norm_and_depend_on_their_own_item_alone() -> None:
    settings = SceneEncoderSettings(batch_size=3)
    images = [picture.image for picture in PICTURES]
    for tower, items in ((settings.text_tower(), CAPTIONS), (settings.image_tower(), images)):
        vectors = tower.encode(items)
        assert vectors.shape == (7, settings.dimension)
        assert vectors.dtype == torch.float32
        assert torch.allclose(vectors.norm(dim=1), torch.ones(7), atol=1e-5)
        alone = torch.cat([tower.encode([item]) for item in items])
        assert torch.allclose(vectors, alone, atol=1e-5)
        assert len({tuple(vector.tolist()) for vector in vectors}) == 7


def test_a_picture_of_another_size_and_mode_is_fitted() -> None:
    tower = SceneEncoderSettings().image_tower()
    image = PICTURES[0].image
    larger = image.resize((96, 96), Image.Resampling.NEAREST).convert("RGBA")
    assert torch.cosine_similarity(tower.encode([larger]), tower.encode([image])) > 0.99


def test_a_long_text_is_cut() -> None:
    tower = SceneEncoderSettings().text_tower()
    assert torch.isfinite(tower.encode([" ".join(["red"] * 1000), "red"])).all()
    assert (tower.cut, tower.context) == (1, 128)


def test_the_space_is_that_of_the_weights(weights: Path) -> None:
    settings = SceneEncoderSettings()
    before = settings.space
    assert before == SceneEncoderSettings(batch_size=7).space
    save_towers(weights, seed=1)
    assert settings.space != before
