"""A checkpoint of a language model that chats: random weights, one token a byte.

It likes to come to an end, and writes nothing but ASCII.
"""

from pathlib import Path

import torch
from gguf import MODEL_ARCH, GGUFWriter, TokenType, get_tensor_name_map
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

CONTEXT = 1024
END, PAD = "<end>", "<pad>"
LIKING = 2.0  # for the end and for the end of a string, in logits
TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def save(folder: Path, *, template: str | None = TEMPLATE) -> str:
    """Write it to a folder, by which it is loaded."""
    tokens = [*sorted(ByteLevel.alphabet()), "xy"]  # and one of two, since some readers want a merge
    backend = Tokenizer(BPE({token: number for number, token in enumerate(tokens)}, [("x", "y")]))
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
        liked = [END, '"']
        for token, number in tokenizer.get_vocab().items():
            bias = LIKING if token in liked else 0.0 if len(token) == 1 and token.isascii() else -20.0
            model.lm_head.weight[number, 0] = bias / 32**0.5
    model.save_pretrained(folder)
    return str(folder)


def save_gguf(folder: Path) -> str:
    """The same as a GGUF file, which is returned."""
    checkpoint = save(folder / "checkpoint")
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    config = model.config
    file = GGUFWriter(folder / "tiny.gguf", "llama")
    file.add_block_count(config.num_hidden_layers)
    file.add_context_length(CONTEXT)
    file.add_embedding_length(config.hidden_size)
    file.add_feed_forward_length(config.intermediate_size)
    file.add_head_count(config.num_attention_heads)
    file.add_head_count_kv(config.num_key_value_heads)
    file.add_layer_norm_rms_eps(config.rms_norm_eps)
    file.add_rope_dimension_count(config.head_dim)
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("default")
    special = set(tokenizer.all_special_ids)
    file.add_token_list(tokenizer.convert_ids_to_tokens(range(len(tokenizer))))
    file.add_token_types(
        [TokenType.CONTROL if number in special else TokenType.NORMAL for number in range(len(tokenizer))]
    )
    file.add_token_merges(["x y"])
    file.add_eos_token_id(tokenizer.eos_token_id)
    file.add_pad_token_id(tokenizer.pad_token_id)
    file.add_add_bos_token(False)
    file.add_chat_template(TEMPLATE)
    names = get_tensor_name_map(MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, weights in model.state_dict().items():
        if name.endswith(("q_proj.weight", "k_proj.weight")):  # in GGUF the two of a rotary pair are neighbours
            halves = weights.reshape(config.num_attention_heads, 2, -1, config.hidden_size)
            weights = halves.swapaxes(1, 2).reshape(weights.shape)
        file.add_tensor(names.get_name(name, (".weight",)), weights.numpy())
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return str(folder / "tiny.gguf")
