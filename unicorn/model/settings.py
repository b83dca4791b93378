"""Settings of the model: builds it, with its tokeniser, around a pretrained language model."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from unicorn.errors import UserError
from unicorn.files import locate

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

    from unicorn.model.modeling import UnicornForConditionalGeneration

IMAGE_TOKEN = "<image>"
LOGIT_SCALINGS = ("final_logit_softcapping", "logit_scale", "logits_scaling")


class VisualMode(StrEnum):
    """How one image vector fills its visual tokens: a projection for each, or copies of one."""

    learned = "learned"
    repeated = "repeated"


class Dtype(StrEnum):
    """The type of the language model's weights as they are loaded; the projector is made in float32.

    `trainer.precision` says what training makes of them.
    """

    float32 = "float32"
    bfloat16 = "bfloat16"


class Attention(StrEnum):
    """Implementations of attention that keep packed samples apart."""

    sdpa = "sdpa"
    """PyTorch's, with a mask over all pairs of a row's tokens: slow on a GPU for long packed rows."""
    flex_attention = "flex_attention"
    """PyTorch's, compiled, which skips the blocks between samples; trains on CUDA alone."""
    flash_attention_2 = "flash_attention_2"
    """Of the package flash-attn, sample by sample; on CUDA alone."""
    eager = "eager"


@dataclass(kw_only=True)
class ModelSettings:
    """A language model, and the projector through which it reads image vectors."""

    language_model: str
    """A folder, a name on the Hub, or `package:PACKAGE/FOLDER` for one that an installed package ships."""
    revision: str = "main"
    """Of a name on the Hub: a branch, a tag or a commit."""
    gguf_file: str | None = None
    """The file in it that holds weights and tokenizer, where they are GGUF; they are dequantised."""
    chat_template: str | None = None
    """The form of conversations, a Jinja file, or `package:PACKAGE/FILE`; null: the language model's own."""
    shape: str | None = None
    """A folder whose config.json has its shape, by which `plan=true` needs no Hub; null: that of `language_model`."""
    visual_tokens: int = 1
    visual_mode: VisualMode = VisualMode.learned
    projector_layers: int = 2
    projector_width: int | None = None
    """Of the layers between; null: the language model's hidden size, as in the paper."""
    dtype: Dtype = Dtype.float32
    attention: Attention = Attention.sdpa
    load_in_4bit: bool = False
    """NF4 weights for a language model that is frozen or tuned by LoRA (arXiv 2305.14314); the extra 4bit, on CUDA."""
    liger_kernels: bool = False
    """Liger's Triton kernels in the language model's layers (arXiv 2410.10989); the extra liger, on CUDA."""

    def __post_init__(self) -> None:
        if self.gguf_file and self.load_in_4bit:
            raise UserError("model.load_in_4bit=true and model.gguf_file: a GGUF file is read whole. Choose one.")

    def build(self, dimension: int) -> "tuple[UnicornForConditionalGeneration, PreTrainedTokenizerFast]":
        """The model for image vectors of length `dimension`, and the tokeniser, which keeps `<image>` whole.

        The projector is drawn from torch's global seed; the language model stays bit for bit what it was.
        Raises UserError where there is no such language model, one that this model cannot wrap, or no way to
        run it as the settings say.
        """
        import torch
        from transformers import AutoModelForCausalLM, GgufConfig

        from unicorn.model.extras import apply_liger_kernels, four_bit_weights

        tokenizer = self.tokenizer()
        quantization = four_bit_weights() if self.load_in_4bit else None
        if self.gguf_file:  # without a word transformers may keep its weights packed, which cannot be trained
            quantization = GgufConfig(dequantize=True)
        try:
            language_model = AutoModelForCausalLM.from_pretrained(
                locate(self.language_model),
                revision=self.revision,
                gguf_file=self.gguf_file,
                dtype=getattr(torch, self.dtype.value),
                attn_implementation=self.attention.value,
                quantization_config=quantization,
            )
        except (OSError, ValueError) as error:
            raise cannot_load(self.language_model, error) from error
        refuse_scaled_logits(self.language_model, language_model.config)
        if self.liger_kernels:
            apply_liger_kernels(language_model)
        model = self._wrap(language_model, self.attention, dimension, cast("int", tokenizer.image_token_id))
        model.generation_config = language_model.generation_config
        model.generation_config.pad_token_id = tokenizer.pad_token_id
        model.generation_config.suppress_tokens = [tokenizer.image_token_id]  # an answer holds no image
        return model, tokenizer

    def skeleton(self, dimension: int, layers: int | None = None) -> "UnicornForConditionalGeneration":
        """The model by its shape alone, made of the language model's configuration on torch's current device.

        `layers` keeps only so many of the language model's. Raises UserError as `build` does.
        """
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        try:
            config = AutoConfig.from_pretrained(
                locate(self.shape or self.language_model), revision=self.revision, gguf_file=self.gguf_file
            )
        except (OSError, ValueError) as error:
            raise cannot_load(self.shape or self.language_model, error) from error
        refuse_scaled_logits(self.language_model, config)
        if layers:
            config.num_hidden_layers = layers
            if getattr(config, "layer_types", None):
                config.layer_types = config.layer_types[:layers]
        # The kernels of the others need not be installed for a shape.
        attention = Attention.eager if self.attention is Attention.eager else Attention.sdpa
        language_model = AutoModelForCausalLM.from_config(
            config, dtype=getattr(torch, self.dtype.value), attn_implementation=attention.value
        )
        return self._wrap(language_model, attention, dimension, config.vocab_size)

    def _wrap(
        self, language_model: "PreTrainedModel", attention: Attention, dimension: int, image_token_id: int
    ) -> "UnicornForConditionalGeneration":
        from unicorn.model.configuration import UnicornConfig
        from unicorn.model.modeling import UnicornForConditionalGeneration

        config = cast("Any", UnicornConfig)(  # which also takes what every configuration does
            text_config=language_model.config,
            embedding_dimension=dimension,
            projector_layers=self.projector_layers,
            projector_width=self.projector_width,
            visual_tokens=self.visual_tokens,
            visual_mode=self.visual_mode.value,
            image_token_id=image_token_id,
            attn_implementation=attention.value,
        )
        return UnicornForConditionalGeneration(config, language_model)

    def tokenizer(self) -> "PreTrainedTokenizerFast":
        """The language model's tokeniser, with `<image>`, a padding token if it had none, and the chat template.

        Raises UserError where one of them cannot be read.
        """
        from transformers import AutoTokenizer

        folder = locate(self.language_model)
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                folder,
                revision=self.revision,
                gguf_file=self.gguf_file,
                model_specific_special_tokens={"image_token": IMAGE_TOKEN},
            )
        except (OSError, ValueError) as error:
            raise cannot_load(self.language_model, error) from error
        if not tokenizer.is_fast:
            raise UserError(f"the tokenizer of {self.language_model} has no fast version. Choose another model.")
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        if self.chat_template is not None:
            tokenizer.chat_template = read_template(self.chat_template)
        return tokenizer


def read_template(path: str) -> str:
    """The text of a chat template. Raises UserError if there is none at `path`."""
    try:
        return Path(locate(path)).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"model.chat_template={path} cannot be read: {error}. Name a Jinja file.") from error


def refuse_scaled_logits(name: str, config: "PretrainedConfig") -> None:
    """Raise UserError for the few families that scale logits after the head, which training would miss."""
    for key in LOGIT_SCALINGS:
        if getattr(config, key, None) not in (None, 1.0):
            raise UserError(f"{name} scales its logits ({key}), which is not supported. Choose another model.")


def cannot_load(name: str, error: Exception) -> UserError:
    """The one line for a language model that transformers cannot find or read."""
    reason = str(error).split("\n")[0]
    return UserError(f"cannot load the language model {name}: {reason} Check model.language_model.")
