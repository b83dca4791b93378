"""A tiny LLM2CLIP on the disk, under the names of the published checkpoints."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import CLIPConfig, CLIPVisionModelWithProjection, LlamaConfig, LlamaModel, PreTrainedTokenizerFast
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from unicorn.encoder.llm2clip import Dtype, LLM2CLIPSettings

WIDTH, INNER, DIMENSION, BLOCKS, SIDE, HEADS = 32, 48, 24, 4, 16, 4
WORDS = (
    "a",
    "red",
    "green",
    "small",
    "cat",
    "dog",
    "sits",
    "on",
    "the",
    "mat",
    "under",
    "tree",
    "and",
    "looks",
    "away",
)
SPECIAL = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")


def tokenizer() -> PreTrainedTokenizerFast:
    """Words, with the frame of Llama 3."""
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, "<unk>", "user", "\n\n", ".", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\n+| "), "isolated"), pre_tokenizers.Split(" ", "removed")]
    )
    words.post_processor = processors.TemplateProcessing(single=f"{SPECIAL[0]} $A", special_tokens=[(SPECIAL[0], 0)])
    return PreTrainedTokenizerFast(tokenizer_object=words, additional_special_tokens=list(SPECIAL))


def save_language_model(folder: Path, layers: int = 2) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=HEADS,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    LlamaModel(config).save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def save_clip(folder: Path) -> None:
    """Image tower and adapter in one file, as published."""
    torch.manual_seed(1)
    vision = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": SIDE,
        "patch_size": 8,
    }
    config = CLIPConfig(vision_config=vision, projection_dim=DIMENSION)
    config.vision_config.projection_dim = DIMENSION
    CLIPVisionModelWithProjection(config.vision_config).save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    for block in range(BLOCKS):
        for name, shape in {
            "ln.weight": (WIDTH,),
            "ln.bias": (WIDTH,),
            "fn.0.weight": (INNER, WIDTH),
            "fn.0.bias": (INNER,),
            "fn.3.weight": (WIDTH, INNER),
            "fn.3.bias": (WIDTH,),
        }.items():
            weights[f"text_adapter.adaptor.{block}.{name}"] = torch.randn(shape) * 0.3
    weights[f"text_adapter.adaptor.{BLOCKS}.weight"] = torch.randn(WIDTH)
    weights[f"text_adapter.adaptor.{BLOCKS}.bias"] = torch.randn(WIDTH)
    weights[f"text_adapter.adaptor.{BLOCKS + 1}.weight"] = torch.randn(DIMENSION, WIDTH)
    weights[f"text_adapter.adaptor.{BLOCKS + 1}.bias"] = torch.randn(DIMENSION)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}).save_pretrained(
        folder
    )


def save(folder: Path) -> LLM2CLIPSettings:
    """Write both checkpoints; the settings that name them."""
    save_language_model(folder / "llama")
    save_clip(folder / "clip")
    return LLM2CLIPSettings(
        checkpoint=str(folder / "clip"),
        language_model=str(folder / "llama"),
        image_processor=str(folder / "clip"),
        dimension=DIMENSION,
        context=24,
        dtype=Dtype.float32,
        device="cpu",
        tokens_per_batch=64,
    )
