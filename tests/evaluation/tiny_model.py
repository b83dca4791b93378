"""A language model of random weights over a handful of words."""

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from unicorn.model.configuration import UnicornConfig
from unicorn.model.modeling import UnicornForConditionalGeneration

WORDS = (
    "<pad>",
    "<eos>",
    "<image>",
    "user",
    "assistant",
    "what",
    "color",
    "is",
    "it",
    "red",
    "green",
    "blue",
    "?",
)
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ' ' + message['content'] + ' <eos> ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant ' }}{% endif %}"
)


def tiny_model(
    visual_tokens: int = 2, dimension: int = 3
) -> tuple[UnicornForConditionalGeneration, PreTrainedTokenizerFast]:
    """The same weights each time; what it answers means nothing, but depends on question and vector."""
    tokenizer = Tokenizer(WordLevel({word: row for row, word in enumerate(WORDS)}, unk_token="?"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        extra_special_tokens={"image_token": "<image>"},
    )
    fast.chat_template = TEMPLATE
    torch.manual_seed(0)
    text = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        initializer_range=0.6,
        eos_token_id=1,
        pad_token_id=0,
        bos_token_id=None,
    )
    config = UnicornConfig(
        text_config=text,
        embedding_dimension=dimension,
        visual_tokens=visual_tokens,
        image_token_id=WORDS.index("<image>"),
    )
    model = UnicornForConditionalGeneration(config, LlamaForCausalLM(text)).eval()
    model.generation_config.eos_token_id = 1
    return model, fast
