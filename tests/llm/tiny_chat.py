"""A checkpoint of a language model that chats: random weights, one token a byte, and a liking for coming to an end."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CONTEXT = 1024
END, PAD = "<end>", "<pad>"
TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def save(folder: Path, *, template: str | None = TEMPLATE, liking: float = 2.5) -> str:
    """Write it to a folder, by which it is loaded; `liking` is for the end and for the end of a string, in logits."""
    bytes_ = sorted(ByteLevel.alphabet())
    backend = Tokenizer(BPE({byte: number for number, byte in enumerate(bytes_)}, []))
    backend.pre_tokenizer = ByteLevel(add_prefix_space=False)
    backend.decoder = ByteLevelDecoder()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=["<system>", "<user>", "<assistant>"],
        chat_template=template,
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=CONTEXT,
            initializer_range=0.05,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
        )
    )
    with torch.no_grad():  # the first feature is the same large number for all, by which the head prefers some tokens
        model.model.embed_tokens.weight[:, 0] = 20.0
        model.lm_head.weight[:, 0] = 0.0
        liked = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids('"')]
        model.lm_head.weight[liked, 0] = liking / 32**0.5
    model.save_pretrained(folder)
    return str(folder)
