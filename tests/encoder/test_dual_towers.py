"""CLIP's and SigLIP's towers on tiny checkpoints, beside transformers' own joint models and steps by hand."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn.functional import cosine_similarity, normalize
from transformers import BertConfig, CLIPModel, Siglip2Model, SiglipModel

from synthesize import synthesize
from tests.conftest import run_script
from tests.encoder import tiny_towers as tiny
from unicorn.encoder.checkpoint import Dtype
from unicorn.encoder.clip import CLIPSettings
from unicorn.encoder.siglip2 import SigLIP2Settings
from unicorn.errors import UserError

TEXTS = ["a red cat sits on the mat", "A small GREEN dog", "dog", "the cat looks under the tree and on the mat"]
Settings = CLIPSettings | SigLIP2Settings


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> CLIPSettings:
    return tiny.save_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> SigLIP2Settings:
    return tiny.save_siglip(tmp_path_factory.mktemp("siglip"))


@pytest.fixture(scope="module")
def naflex(tmp_path_factory: pytest.TempPathFactory) -> SigLIP2Settings:
    return tiny.save_naflex(tmp_path_factory.mktemp("naflex"))


@pytest.fixture(params=["clip", "siglip"])
def settings(request: pytest.FixtureRequest) -> Settings:
    return request.getfixturevalue(request.param)


def numbers(text: str) -> list[int]:
    return [tiny.VOCABULARY[word] for word in text.lower().split()]


def pixels(mean: np.ndarray, deviation: np.ndarray) -> tuple[list[Image.Image], torch.Tensor]:
    """Pictures of the towers' own size, and what is left of preprocessing them."""
    values = np.random.default_rng(0).integers(0, 256, (3, tiny.SIDE, tiny.SIDE, 3), np.uint8)
    prepared = torch.from_numpy((values / 255 - mean) / deviation).permute(0, 3, 1, 2).float()
    return [Image.fromarray(each) for each in values], prepared


def test_texts_of_clip_are_those_of_the_joint_model(clip: CLIPSettings):
    model = CLIPModel.from_pretrained(clip.checkpoint).eval()
    for text, vector in zip(TEXTS, clip.text_tower().encode(TEXTS), strict=True):
        ids = torch.tensor([[tiny.VOCABULARY[tiny.BEGIN], *numbers(text), tiny.VOCABULARY[tiny.END]]])
        with torch.inference_mode():
            expected = normalize(model.get_text_features(ids).pooler_output)[0]
        torch.testing.assert_close(vector, expected, atol=1e-5, rtol=0)


def test_texts_of_siglip_are_lowered_ended_and_padded_to_the_context(siglip: SigLIP2Settings):
    model = SiglipModel.from_pretrained(siglip.checkpoint).eval()
    for text, vector in zip(TEXTS, siglip.text_tower().encode(TEXTS), strict=True):
        row = [*numbers(text), tiny.VOCABULARY[tiny.END]]
        ids = torch.tensor([row + [tiny.VOCABULARY[tiny.PADDING]] * (tiny.CONTEXT - len(row))])
        with torch.inference_mode():
            expected = normalize(model.get_text_features(ids).pooler_output)[0]
        torch.testing.assert_close(vector, expected, atol=1e-5, rtol=0)


def test_pictures_of_clip_are_those_of_the_joint_model(clip: CLIPSettings):
    pictures, prepared = pixels(
        np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])
    )
    model = CLIPModel.from_pretrained(clip.checkpoint).eval()
    with torch.inference_mode():
        expected = normalize(model.get_image_features(prepared).pooler_output)
    torch.testing.assert_close(replace(clip, images_per_batch=2).image_tower().encode(pictures), expected)


def test_pictures_of_siglip_are_those_of_the_joint_model(siglip: SigLIP2Settings):
    pictures, prepared = pixels(np.array(0.5), np.array(0.5))
    model = SiglipModel.from_pretrained(siglip.checkpoint).eval()
    with torch.inference_mode():
        expected = normalize(model.get_image_features(prepared).pooler_output)
    tower = replace(siglip, images_per_batch=2).image_tower()
    torch.testing.assert_close(tower.encode(pictures), expected, atol=1e-5, rtol=0)
    assert tower.encode([]).shape == (0, tiny.WIDTH)


def test_texts_of_naflex_are_as_those_of_siglip(naflex: SigLIP2Settings):
    texts = ["dog", "A red CAT", "the mat"]
    model = Siglip2Model.from_pretrained(naflex.checkpoint).eval()
    for text, vector in zip(texts, naflex.text_tower().encode(texts), strict=True):
        row = [*(tiny.LETTERS[letter] for letter in text.lower().replace(" ", "▁")), tiny.LETTERS["<eos>"]]
        ids = torch.tensor([row + [tiny.LETTERS["<pad>"]] * (tiny.CONTEXT - len(row))])
        with torch.inference_mode():
            expected = normalize(model.get_text_features(ids).pooler_output)[0]
        torch.testing.assert_close(vector, expected, atol=1e-5, rtol=0)


def test_pictures_of_naflex_keep_their_shape(naflex: SigLIP2Settings):
    """A patch is 8 pixels square and four are the most: these are of 2 x 2, 1 x 4, 4 x 1 and 1 x 3 patches."""
    values = [
        np.random.default_rng(0).integers(0, 256, (height * 8, width * 8, 3), np.uint8)
        for height, width in ((2, 2), (1, 4), (4, 1), (1, 3))
    ]
    vectors = replace(naflex, images_per_batch=2).image_tower().encode([Image.fromarray(each) for each in values])
    model = Siglip2Model.from_pretrained(naflex.checkpoint).eval()
    for picture, vector in zip(values[:3], vectors, strict=False):
        rows, columns = picture.shape[0] // 8, picture.shape[1] // 8
        patches = [
            picture[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8].reshape(-1)
            for row in range(rows)
            for column in range(columns)
        ]
        with torch.inference_mode():
            expected = model.get_image_features(
                torch.from_numpy(np.array(patches) / 127.5 - 1)[None].float(),
                pixel_attention_mask=torch.ones(1, 4, dtype=torch.int32),
                spatial_shapes=torch.tensor([[rows, columns]]),
            ).pooler_output
        torch.testing.assert_close(vector, normalize(expected)[0], atol=1e-5, rtol=0)
    alone = naflex.image_tower().encode([Image.fromarray(values[3])])  # padded by a patch, which nothing sees
    torch.testing.assert_close(vectors[3:], alone, atol=1e-5, rtol=0)


def test_a_vector_is_of_its_text_alone(settings: Settings):
    tower = settings.text_tower()
    alone = torch.cat([tower.encode([text]) for text in TEXTS])
    torch.testing.assert_close(tower.encode(TEXTS), alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(tower.encode(TEXTS[::-1]).flip(0), alone, atol=1e-5, rtol=0)
    assert (alone[0] @ alone[1:].T).max() < 0.99
    torch.testing.assert_close(alone.norm(dim=1), torch.ones(len(TEXTS)))


def test_long_texts_are_cut_before_their_end_and_counted(settings: Settings):
    tower = settings.text_tower()
    frame = 2 if isinstance(settings, CLIPSettings) else 1
    words = (tiny.WORDS * 2)[: tower.context - frame + 1]
    fits, longer = " ".join(words[:-1]), " ".join(words)
    vectors = tower.encode([fits, longer])
    assert (tower.context, tower.cut) == (tiny.CONTEXT, 1)
    torch.testing.assert_close(vectors[1], vectors[0])
    tower.encode([longer, longer])
    assert tower.cut == 3


def test_bfloat16_is_near(settings: Settings):
    vectors = replace(settings, dtype=Dtype.bfloat16).text_tower().encode(TEXTS)
    assert vectors.dtype == torch.float32
    assert cosine_similarity(vectors, settings.text_tower().encode(TEXTS)).min() > 0.99


@pytest.mark.parametrize(("half", "tower"), [("vision", "text_tower"), ("text", "image_tower")])
def test_a_half_is_loaded_without_the_other(settings: Settings, tmp_path: Path, half: str, tower: str):
    folder = _copy(settings, tmp_path)
    weights = load_file(folder / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if not name.startswith((f"{half}_", half[:4]))}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    without = replace(settings, checkpoint=str(folder))
    getattr(without, tower)()
    other: Callable[[], object] = without.image_tower if tower == "text_tower" else without.text_tower
    with pytest.raises(
        UserError, match=r"weights in .* are no whole \w+: \S+ is not among them, or of another size\. Fetch them"
    ):
        other()


def test_nothing_is_said_of_the_other_half(settings: Settings, caplog: pytest.LogCaptureFixture):
    settings.text_tower()
    settings.image_tower()
    assert not caplog.messages


def test_padding_to_the_context_counts_into_a_batch(siglip: SigLIP2Settings):
    tower = siglip.text_tower()
    shapes: list[torch.Size] = []
    model = tower._model  # pyright: ignore[reportPrivateUsage]
    model.register_forward_pre_hook(lambda *given: shapes.append(given[-1]["input_ids"].shape), with_kwargs=True)
    tower.encode(["dog"] * 12)
    assert shapes == [(5, tiny.CONTEXT), (5, tiny.CONTEXT), (2, tiny.CONTEXT)]  # 64 tokens a batch at most


def test_the_space_tells_checkpoints_apart(settings: Settings, tmp_path: Path):
    folder = _copy(settings, tmp_path)
    copied = replace(settings, checkpoint=str(folder))
    assert copied.space == settings.space  # wherever it lies
    assert replace(copied, tokens_per_batch=1).space == settings.space
    prepare = folder / "preprocessor_config.json"
    before = prepare.read_bytes()
    prepare.write_bytes(before.replace(b"0.5", b"0.6").replace(b"0.48145466", b"0.6"))
    assert copied.space != settings.space
    prepare.write_bytes(before)
    weights = load_file(folder / "model.safetensors")
    weights[max(weights)] += 1e-3
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert copied.space != settings.space
    hub = type(settings)()
    assert replace(hub, revision="f" * 40).space != hub.space
    assert hub.checkpoint in hub.space
    assert replace(hub, tokens_per_batch=1).made_by == hub.made_by != replace(hub, dtype=Dtype.bfloat16).made_by


def test_what_fits_not_is_named(clip: CLIPSettings, siglip: SigLIP2Settings, tmp_path: Path):
    with pytest.raises(
        UserError, match=r"^the checkpoint in .* is of kind 'siglip', where 'clip' is needed\. Set encoder=siglip2\.$"
    ):
        replace(clip, checkpoint=siglip.checkpoint).text_tower()
    with pytest.raises(
        UserError, match=r"is of kind 'clip', where 'siglip' or 'siglip2' is needed\. Set encoder=clip\.$"
    ):
        replace(siglip, checkpoint=clip.checkpoint).image_tower()
    BertConfig().save_pretrained(tmp_path / "bert")
    with pytest.raises(UserError, match=r"is of kind 'bert', where 'clip' is needed\. Choose another encoder\.checkp"):
        replace(clip, checkpoint=str(tmp_path / "bert")).image_tower()
    for settings in (clip, siglip):
        for tower in (settings.text_tower, settings.image_tower):
            tower()
        wrong = replace(settings, dimension=7)
        for tower in (wrong.text_tower, wrong.image_tower):
            with pytest.raises(UserError, match=rf"make {settings.dimension} dimensions, and encoder\.dimension is 7"):
                tower()


@pytest.mark.parametrize(
    ("gone", "what"),
    [
        ("config.json", "config.json of such a model"),
        ("model.safetensors", r"weights of a \w+"),
        ("tokenizer*", "tokenizer"),
        ("*processor*", "image processor"),
    ],
)
def test_what_a_folder_lacks_is_named(settings: Settings, tmp_path: Path, gone: str, what: str):
    folder = _copy(settings, tmp_path)
    for path in list(folder.glob(gone)):
        path.unlink()
    lacking = replace(settings, checkpoint=str(folder))
    tower = lacking.image_tower if what == "image processor" else lacking.text_tower
    with pytest.raises(UserError, match=rf"^the checkpoint in .* has no {what} that can be read: .* Name another"):
        tower()


@pytest.mark.parametrize(
    ("name", "damage", "what"),
    [
        (
            "config.json",
            lambda data: data.replace(b'"hidden_size": 32', b'"hidden_size": "wide"'),
            "config.json of such",
        ),
        ("model.safetensors", lambda data: data[: len(data) // 2], r"weights of a \w+"),
        ("tokenizer.json", lambda data: b"{}", "tokenizer"),
        ("preprocessor_config.json", lambda data: b"[]", "image processor"),
    ],
)
def test_what_is_damaged_is_named(
    settings: Settings, tmp_path: Path, name: str, damage: Callable[[bytes], bytes], what: str
):
    folder = _copy(settings, tmp_path)
    (folder / name).write_bytes(damage((folder / name).read_bytes()))
    damaged = replace(settings, checkpoint=str(folder))
    for tower in [damaged.image_tower] * (what != "tokenizer") + [damaged.text_tower] * (what != "image processor"):
        with pytest.raises(
            UserError, match=rf"^the checkpoint in .* has no {what}.* that can be read: .* Name another"
        ):
            tower()


def test_torn_weights_have_no_name(settings: Settings, tmp_path: Path):
    folder = _copy(settings, tmp_path)
    (folder / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(UserError, match=r"model\.safetensors is torn, or no file of weights: .* Fetch it again"):
        _ = replace(settings, checkpoint=str(folder)).space


def _copy(settings: Settings, folder: Path) -> Path:
    return Path(shutil.copytree(settings.checkpoint, folder / "copy"))


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (3, 1), (1, 3), (3, 2), (32, 1), (1024, 700)])
def test_a_picture_of_one_colour_has_the_same_vector_whatever_its_size(settings: Settings, size: tuple[int, int]):
    tower = settings.image_tower()
    colour = (250, 120, 10)
    both = [Image.new("RGB", size, colour), Image.new("RGB", (tiny.SIDE, tiny.SIDE), colour)]
    vectors = tower.encode(both)
    torch.testing.assert_close(vectors[0], vectors[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["clip", "siglip", "naflex"])
def test_what_is_required_beforehand_needs_no_weights(name: str, request: pytest.FixtureRequest, tmp_path: Path):
    settings: Settings = request.getfixturevalue(name)
    folder = _copy(settings, tmp_path / "configured")
    for weights in folder.glob("*.safetensors"):
        weights.unlink()
    configured = replace(settings, checkpoint=str(folder))
    configured.require()
    with pytest.raises(UserError, match=rf"make {settings.dimension} dimensions, and encoder\.dimension is 7"):
        replace(configured, dimension=7).require()


def test_synthesis_asks_for_the_encoder_before_it_writes(siglip: SigLIP2Settings, tmp_path: Path):
    asked = (
        f"dataset={tmp_path / 'dataset'}",
        "seeds.count=1",
        "encoder=clip",
        f"encoder.checkpoint={siglip.checkpoint}",
    )
    finished = run_script(synthesize, *asked)
    assert finished.code == 2
    assert "is of kind 'siglip', where 'clip' is needed. Set encoder=siglip2." in finished.err
    assert not (tmp_path / "dataset").exists()
