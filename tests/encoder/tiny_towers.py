"""Tiny CLIP and SigLIP checkpoints of random weights, saved as the published ones are: both halves in one file."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    CLIPConfig,
    CLIPModel,
    PreTrainedTokenizerFast,
    Siglip2Config,
    Siglip2Model,
    Siglip2Tokenizer,
    SiglipConfig,
    SiglipModel,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

from unicorn.encoder.clip import CLIPSettings
from unicorn.encoder.siglip2 import SigLIP2Settings

WORDS = ("a", "red", "green", "small", "cat", "dog", "sits", "on", "the", "mat", "under", "tree", "and", "looks")
WIDTH, DIMENSION, SIDE, CONTEXT = 32, 24, 16, 12
BEGIN, END, PADDING, UNKNOWN = "<begin>", "<end>", "<pad>", "<unk>"
VOCABULARY = {word: number for number, word in enumerate((PADDING, UNKNOWN, *WORDS, BEGIN, END))}
SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
LETTERS = {token: number for number, token in enumerate((*SPECIAL, "▁", *"abcdefghijklmnopqrstuvwxyz"))}
HALF = {
    "hidden_size": WIDTH,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "initializer_range": 0.3,
}
TEXT = HALF | {
    "vocab_size": len(VOCABULARY),
    "max_position_embeddings": CONTEXT,
    "pad_token_id": VOCABULARY[PADDING],
    "bos_token_id": VOCABULARY[BEGIN],
    "eos_token_id": VOCABULARY[END],
}
VISION = HALF | {"image_size": SIDE, "patch_size": 8}


def tokenizer(frame: str, padding_side: str = "right") -> PreTrainedTokenizerFast:
    """Words; lower case is made of capitals where nothing else did it."""
    words = Tokenizer(models.WordLevel(VOCABULARY, unk_token=UNKNOWN))
    words.normalizer = normalizers.Lowercase() if BEGIN in frame else normalizers.Strip()
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = [(token, VOCABULARY[token]) for token in (BEGIN, END)]
    words.post_processor = processors.TemplateProcessing(single=frame, special_tokens=special)
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PADDING,
        unk_token=UNKNOWN,
        padding_side=padding_side,
    )


def save_clip(folder: Path) -> CLIPSettings:
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=DIMENSION))
    for projection in (model.text_projection, model.visual_projection):
        torch.nn.init.normal_(projection.weight)
    model.save_pretrained(folder)
    tokenizer(f"{BEGIN} $A {END}").save_pretrained(folder)
    size = {"height": SIDE, "width": SIDE}
    CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=size).save_pretrained(folder)
    return CLIPSettings(checkpoint=str(folder), dimension=DIMENSION, device="cpu", tokens_per_batch=64)


def save_siglip(folder: Path) -> SigLIP2Settings:
    """The tokenizer frames, pads on the left and keeps capitals: all of which the tower must not rely on."""
    torch.manual_seed(0)
    config = SiglipConfig(text_config=TEXT | {"projection_size": WIDTH}, vision_config=VISION)
    model = SiglipModel(config)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    tokenizer(f"$A {END}", padding_side="left").save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return SigLIP2Settings(checkpoint=str(folder), dimension=WIDTH, device="cpu", tokens_per_batch=64)


def save_naflex(folder: Path) -> SigLIP2Settings:
    """Pictures in their own shape, of four patches at most; a letter is a token."""
    torch.manual_seed(0)
    text = HALF | {"vocab_size": len(LETTERS), "max_position_embeddings": CONTEXT, "projection_size": WIDTH}
    vision = HALF | {"patch_size": 8, "num_patches": 4}
    model = Siglip2Model(Siglip2Config(text_config=text, vision_config=vision))
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    Siglip2Tokenizer(vocab=LETTERS, merges=[]).save_pretrained(folder)
    Siglip2ImageProcessorPil(patch_size=8, max_num_patches=4).save_pretrained(folder)
    return SigLIP2Settings(checkpoint=str(folder), dimension=WIDTH, device="cpu", tokens_per_batch=64)
