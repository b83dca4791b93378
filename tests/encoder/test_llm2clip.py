"""LLM2CLIP's towers on tiny checkpoints, against their equations in float64, step by step."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file
from transformers import (
    BertConfig,
    CLIPVisionModelWithProjection,
    GPT2Config,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
    T5Config,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from tests.encoder import tiny_llm2clip as tiny
from unicorn.encoder.llm2clip import Dtype, LLM2CLIPSettings
from unicorn.errors import UserError

TEXTS = [
    "a red cat sits on the mat .",
    "a small green dog",
    "a red cat sits on the mat under the tree and looks away .",
    "dog",
]
HEADER = 5  # beginning, start of header, user, end of header, two newlines


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> LLM2CLIPSettings:
    return tiny.save(tmp_path_factory.mktemp("llm2clip"))


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def llama(weights: dict[str, np.ndarray], ids: list[int]) -> np.ndarray:
    """The last states of Llama without a mask: every token attends to every one (arXiv 2302.13971; GQA 2305.13245)."""
    heads, groups, size = tiny.HEADS, 2, tiny.WIDTH // tiny.HEADS

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6) * weights[name]

    def rotated(x: np.ndarray) -> np.ndarray:
        angles = np.outer(np.arange(len(ids)), 10_000.0 ** -(np.arange(0, size, 2) / size))
        first, second = x[..., : size // 2], x[..., size // 2 :]
        cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
        return np.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)

    x = weights["embed_tokens.weight"][ids]
    for layer in ("layers.0.", "layers.1."):
        y = norm(x, f"{layer}input_layernorm.weight")
        q, k, v = (
            (y @ weights[f"{layer}self_attn.{name}_proj.weight"].T).reshape(len(ids), -1, size) for name in "qkv"
        )
        q, k = rotated(q), rotated(k)
        out = []
        for head in range(heads):
            group = head // (heads // groups)
            scores = q[:, head] @ k[:, group].T / np.sqrt(size)
            attention = np.exp(scores - scores.max(axis=-1, keepdims=True))
            out.append(attention / attention.sum(axis=-1, keepdims=True) @ v[:, group])
        x = x + np.concatenate(out, axis=-1) @ weights[f"{layer}self_attn.o_proj.weight"].T
        y = norm(x, f"{layer}post_attention_layernorm.weight")
        gate = y @ weights[f"{layer}mlp.gate_proj.weight"].T
        up = y @ weights[f"{layer}mlp.up_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ weights[f"{layer}mlp.down_proj.weight"].T
    return norm(x, "norm.weight")


def adapter(weights: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Four residual blocks, LayerNorm, projection."""
    erf = np.vectorize(__import__("math").erf)

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean()
        return centred / np.sqrt((centred**2).mean() + 1e-5) * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]

    for block in range(tiny.BLOCKS):
        y = linear(norm(x, f"{block}.ln"), f"{block}.fn.0")
        x = x + linear(y * 0.5 * (1 + erf(y / np.sqrt(2))), f"{block}.fn.3")
    return linear(norm(x, str(tiny.BLOCKS)), str(tiny.BLOCKS + 1))


def by_hand(settings: LLM2CLIPSettings, text: str) -> np.ndarray:
    language_model = load_file(Path(settings.language_model) / "model.safetensors")
    head = load_file(Path(settings.checkpoint) / "model.safetensors")
    ids = tiny.tokenizer()(f"<|start_header_id|>user<|end_header_id|>\n\n{text}<|eot_id|>")["input_ids"]
    states = llama({name: weight.astype(np.float64) for name, weight in language_model.items()}, ids)
    prefix = "text_adapter.adaptor."
    weights = {name.removeprefix(prefix): w.astype(np.float64) for name, w in head.items() if name.startswith(prefix)}
    return unit(adapter(weights, unit(states[HEADER:].mean(axis=0))))


def test_text_vectors_are_those_of_the_equations(settings: LLM2CLIPSettings):
    vectors = settings.text_tower().encode(TEXTS)
    assert (vectors.dtype, vectors.device.type) == (torch.float32, "cpu")
    np.testing.assert_allclose(vectors, [by_hand(settings, text) for text in TEXTS], atol=2e-5)


def test_what_stands_around_a_text_is_no_part_of_it(settings: LLM2CLIPSettings):
    tower = settings.text_tower()
    torch.testing.assert_close(tower.encode(["\n a small green dog\n\n"]), tower.encode(["a small green dog"]))


def test_a_vector_is_of_its_text_alone(settings: LLM2CLIPSettings):
    tower = settings.text_tower()
    alone = torch.cat([tower.encode([text]) for text in TEXTS])
    torch.testing.assert_close(tower.encode(TEXTS), alone, atol=1e-5, rtol=0)  # padded, beside neighbours
    torch.testing.assert_close(replace(settings, tokens_per_batch=1).text_tower().encode(TEXTS), alone, atol=0, rtol=0)
    torch.testing.assert_close(tower.encode(TEXTS[::-1]).flip(0), alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("dtype", "bound"), [(Dtype.float32, 1e-6), (Dtype.bfloat16, 1e-3)])
def test_neighbours_round_a_vector_of_many_layers_within_the_bound(
    settings: LLM2CLIPSettings, tmp_path: Path, dtype: Dtype, bound: float
):
    tiny.save_language_model(tmp_path, layers=16)
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(tiny.WORDS, size=random.integers(1, 18))) for _ in range(64)]
    deep = replace(settings, language_model=str(tmp_path), dtype=dtype, tokens_per_batch=2048).text_tower()
    alone = torch.cat([deep.encode([text]) for text in texts]).double()
    together = deep.encode(texts).double()
    apart = 1 - torch.nn.functional.cosine_similarity(alone, together)
    assert apart.max() < bound


@pytest.mark.parametrize("neighbours", [[], ["a cat . a cat . a"]], ids=["alone", "padded"])
def test_the_first_token_sees_the_last(settings: LLM2CLIPSettings, neighbours: list[str]):
    tower = settings.text_tower()
    states: list[torch.Tensor] = []
    model = tower._language_model  # pyright: ignore[reportPrivateUsage]
    model.register_forward_hook(lambda *given: states.append(given[-1].last_hidden_state))
    for text in ("a cat .", "a cat dog"):
        tower.encode([text, *neighbours])
    row = len(neighbours)  # the longest comes first
    assert (states[0][row, HEADER] - states[1][row, HEADER]).abs().max() > 1e-3


def test_long_texts_are_cut_and_counted(settings: LLM2CLIPSettings):
    tower = settings.text_tower()
    longest = settings.context - HEADER - 1
    words = [tiny.WORDS[number % len(tiny.WORDS)] for number in range(60)]
    fits, cut, longer = (" ".join(words[:count]) for count in (longest, longest + 1, 60))
    vectors = tower.encode([fits, cut, longer])
    assert tower.cut == 2
    torch.testing.assert_close(vectors, vectors[:1].expand(3, -1))  # the end of the frame stays
    tower.encode([longer])
    assert tower.cut == 3


def test_bfloat16_is_near(settings: LLM2CLIPSettings):
    vectors = replace(settings, dtype=Dtype.bfloat16).text_tower().encode(TEXTS)
    assert vectors.dtype == torch.float32
    near = torch.nn.functional.cosine_similarity(vectors, settings.text_tower().encode(TEXTS))
    assert near.min() > 0.99
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(4))


def test_the_image_tower_is_that_of_transformers(settings: LLM2CLIPSettings):
    pixels = np.random.default_rng(0).integers(0, 256, (3, tiny.SIDE, tiny.SIDE, 3), np.uint8)
    vectors = replace(settings, images_per_batch=2).image_tower().encode([Image.fromarray(each) for each in pixels])
    mean, deviation = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])
    prepared = torch.from_numpy((pixels / 255 - mean) / deviation).permute(0, 3, 1, 2).float()
    model = CLIPVisionModelWithProjection.from_pretrained(settings.checkpoint)
    with torch.inference_mode():
        expected = unit(model(prepared).image_embeds.numpy())
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert settings.image_tower().encode([]).shape == (0, tiny.DIMENSION)


def test_pictures_are_prepared_as_the_image_processor_says(settings: LLM2CLIPSettings, tmp_path: Path):
    CLIPImageProcessorPil(
        size={"shortest_edge": tiny.SIDE}, crop_size={"height": tiny.SIDE, "width": tiny.SIDE}, image_mean=[0.1] * 3
    ).save_pretrained(tmp_path)
    picture = [Image.new("RGB", (tiny.SIDE, tiny.SIDE), "orange")]
    other = replace(settings, image_processor=str(tmp_path)).image_tower().encode(picture)
    assert (other - settings.image_tower().encode(picture)).abs().max() > 1e-2


def test_the_towers_are_loaded_apart(settings: LLM2CLIPSettings, tmp_path: Path):
    nowhere = str(tmp_path / "nowhere")
    replace(settings, language_model=nowhere).image_tower()
    replace(settings, image_processor=nowhere).text_tower()


def test_the_space_names_both_checkpoints_and_their_revisions():
    here = LLM2CLIPSettings(language_model_revision="a" * 40)
    others = [
        replace(here, revision="f" * 40),
        replace(here, language_model_revision="f" * 40),
        replace(here, image_processor="openai/clip-vit-base-patch16"),
        replace(here, checkpoint="microsoft/LLM2CLIP-Openai-L-14-224"),
        replace(here, context=16),
    ]
    assert len({each.space for each in [here, *others]}) == 6
    same = replace(here, tokens_per_batch=1, device="cpu")
    assert (same.space, same.made_by) == (here.space, here.made_by)
    made_by = [each.made_by for each in (here, replace(here, context=16), replace(here, dtype=Dtype.float32))]
    assert all(made_by.count(each) == 1 for each in made_by)


def test_the_space_of_folders_is_of_what_they_hold(settings: LLM2CLIPSettings, tmp_path: Path):
    moved = {name: tmp_path / name for name in ("clip", "llama")}
    for name, folder in moved.items():
        shutil.copytree(Path(settings.checkpoint).parent / name, folder)
    there = replace(
        settings,
        checkpoint=str(moved["clip"]),
        language_model=str(moved["llama"]),
        image_processor=str(moved["clip"]),
    )
    assert there.space == settings.space
    weights = load_file(moved["llama"] / "model.safetensors")
    weights["layers.1.mlp.up_proj.weight"] += 1e-3
    save_file(weights, moved["llama"] / "model.safetensors", {"format": "pt"})
    assert there.space != settings.space


def test_what_is_no_llm2clip_is_named(settings: LLM2CLIPSettings, tmp_path: Path):
    with pytest.raises(UserError, match=r"adapter in .* takes 32 dimensions to 24.*encoder\.dimension is 1280"):
        replace(settings, dimension=1280).text_tower()
    with pytest.raises(
        UserError, match=r"towers in .* make 24 dimensions, and encoder\.dimension is 1280\. Set encoder\.dimension=24"
    ):
        replace(settings, dimension=1280).image_tower()
    with pytest.raises(UserError, match=r"holds no weights under text_adapter\.adaptor\.\*"):
        replace(settings, checkpoint=settings.language_model).text_tower()


@pytest.mark.parametrize(
    "config",
    [
        BertConfig(hidden_size=tiny.WIDTH),
        GPT2Config(n_embd=tiny.WIDTH),
        T5Config(d_model=tiny.WIDTH),
        Qwen2Config(hidden_size=tiny.WIDTH),
        MistralConfig(hidden_size=tiny.WIDTH),
    ],
    ids=lambda config: config.model_type,
)
def test_another_language_model_is_named(settings: LLM2CLIPSettings, tmp_path: Path, config: PreTrainedConfig):
    config.save_pretrained(tmp_path)
    line = rf"of kind '{config.model_type}', where 'llama' is needed\. Choose another encoder\.language_model\.$"
    with pytest.raises(UserError, match=line):
        replace(settings, language_model=str(tmp_path)).text_tower()


def test_weights_of_another_size_and_truncated_ones_are_named(settings: LLM2CLIPSettings, tmp_path: Path):
    llama = tmp_path / "llama"
    shutil.copytree(settings.language_model, llama)
    broken = replace(settings, language_model=str(llama))
    weights = load_file(llama / "model.safetensors")
    save_file(weights | {"norm.weight": np.ones(7, np.float32)}, llama / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        UserError, match=r"llama are no whole LlamaModel: norm\.weight is not among them, or of another size"
    ):
        broken.text_tower()
    tiny.save_language_model(llama)
    whole = (llama / "model.safetensors").read_bytes()
    (llama / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"llama has no weights of a LlamaModel that can be read: .* Name another"):
        broken.text_tower()


@pytest.mark.parametrize("name", ["x.fn.0.weight", "0.fn.0.weight"])
def test_an_adapter_of_another_form_is_named(settings: LLM2CLIPSettings, tmp_path: Path, name: str):
    save_file({f"text_adapter.adaptor.{name}": np.ones(3, np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"weights under text_adapter\.adaptor\.\* are no adapter of LLM2CLIP"):
        replace(settings, checkpoint=str(tmp_path)).text_tower()


def test_pickled_weights_are_read_where_there_are_no_others(settings: LLM2CLIPSettings, tmp_path: Path):
    shutil.copytree(settings.language_model, tmp_path / "llama")
    shutil.copytree(settings.checkpoint, tmp_path / "clip")
    pickled = replace(settings, checkpoint=str(tmp_path / "clip"), language_model=str(tmp_path / "llama"))
    spaces = {settings.space}
    for name in ("llama", "clip"):
        weights = {
            name: torch.tensor(weight) for name, weight in load_file(tmp_path / name / "model.safetensors").items()
        }
        (tmp_path / name / "model.safetensors").unlink()
        torch.save(weights, tmp_path / name / "pytorch_model.bin")
        spaces.add(pickled.space)
    picture = [Image.new("RGB", (tiny.SIDE, tiny.SIDE), "orange")]
    torch.testing.assert_close(pickled.text_tower().encode(TEXTS), settings.text_tower().encode(TEXTS))
    torch.testing.assert_close(pickled.image_tower().encode(picture), settings.image_tower().encode(picture))
    weights["visual_projection.weight"][-1, -1] += 1e-3
    torch.save(weights, tmp_path / "clip" / "pytorch_model.bin")
    spaces.add(pickled.space)
    assert len(spaces) == 4


def test_code_in_a_pickle_is_not_run(settings: LLM2CLIPSettings, tmp_path: Path):
    class Code:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "run",)

    for name, line in (
        ("llama", r"llama has no weights of a LlamaModel that can be read: .* Name another"),
        ("clip", r"pytorch_model\.bin is torn, or no file of weights: .* Fetch it again"),
    ):
        shutil.copytree(settings.language_model if name == "llama" else settings.checkpoint, tmp_path / name)
        (tmp_path / name / "model.safetensors").unlink()
        torch.save({"norm.weight": Code()}, tmp_path / name / "pytorch_model.bin")
        key = "language_model" if name == "llama" else "checkpoint"
        with pytest.raises(UserError, match=line):
            replace(settings, **{key: str(tmp_path / name)}).text_tower()
    assert not (tmp_path / "run").exists()


def test_damaged_weights_are_named(settings: LLM2CLIPSettings, tmp_path: Path):
    llama, clip = tmp_path / "llama", tmp_path / "clip"
    shutil.copytree(settings.language_model, llama)
    shutil.copytree(settings.checkpoint, clip)
    broken = replace(settings, checkpoint=str(clip), language_model=str(llama))
    save_file({"norm.weight": np.ones(tiny.WIDTH, np.float32)}, llama / "model.safetensors")
    with pytest.raises(
        UserError, match=r"weights in .*llama are no whole LlamaModel: embed_tokens\.weight is not among"
    ):
        broken.text_tower()
    (llama / "config.json").write_text("{")
    with pytest.raises(
        UserError,
        match=r"the checkpoint in .*llama has no config.json of such a model that can be read: .* Name another",
    ):
        broken.text_tower()
    weights = load_file(clip / "model.safetensors")
    save_file(weights | {"text_adapter.adaptor.2.ln.bias": np.ones(3, np.float32)}, clip / "model.safetensors")
    with pytest.raises(UserError, match=r"weights under text_adapter\.adaptor\.\* are no adapter of LLM2CLIP"):
        broken.text_tower()
    save_file(
        {name: weight for name, weight in weights.items() if "post_layernorm" not in name}, clip / "model.safetensors"
    )
    with pytest.raises(
        UserError, match=r"weights in .* are no whole CLIPVisionModel.*post_layernorm.* is not among them"
    ):
        broken.image_tower()
    (clip / "config.json").write_text("{")
    with pytest.raises(
        UserError, match=r"checkpoint in .*clip has no config.json of such a model that can be read: .* Name another"
    ):
        broken.image_tower()
    (clip / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(UserError, match=r"model\.safetensors is torn, or no file of weights: .* Fetch it again"):
        broken.text_tower()


def test_what_is_required_beforehand_is_a_llama(settings: LLM2CLIPSettings):
    settings.require()
    with pytest.raises(UserError, match=r"of kind 'clip', where 'llama' is needed\. Choose another encoder\.la"):
        replace(settings, language_model=settings.checkpoint).require()
