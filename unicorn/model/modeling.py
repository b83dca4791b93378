"""A projector and any causal language model as one Hugging Face model that reads image vectors."""

from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AutoModelForCausalLM
from transformers.cache_utils import Cache
from transformers.generation.utils import GenerationMixin
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.modeling_utils import PreTrainedModel

from unicorn.model.configuration import UnicornConfig
from unicorn.model.loss import summed_cross_entropy
from unicorn.model.projector import Projector
from unicorn.records import IGNORED


@dataclass
class UnicornOutput(CausalLMOutputWithPast):
    """What transformers' causal language models give back, and the loss of each token."""

    token_losses: Float[Tensor, " supervised"] | None = None
    """With labels: the cross-entropy of every supervised token, row by row; without gradient."""


class UnicornPreTrainedModel(PreTrainedModel):
    """What every model of this family tells transformers about itself."""

    config_class = UnicornConfig
    base_model_prefix = "language_model"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _keep_in_fp32_modules_strict = {"projector"}  # noqa: RUF012  # likewise
    _skip_keys_device_placement = ["past_key_values"]  # noqa: RUF012  # as the base class types it

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: the projector keeps PyTorch's initialisation, the language model brings its own."""


class UnicornForConditionalGeneration(UnicornPreTrainedModel, GenerationMixin):
    """Answers in text about image vectors, which fill the `<image>` placeholders of the prompt in order."""

    logits_at_a_time: int | None = None
    """Positions whose logits exist at a time while the loss is taken; None: as many as suit the device."""

    def __init__(self, config: UnicornConfig, language_model: PreTrainedModel | None = None) -> None:
        """With `language_model`, wrap a model that is already loaded; otherwise make one from `config`."""
        super().__init__(config)
        self.projector = Projector(config)
        self.language_model: PreTrainedModel = language_model or AutoModelForCausalLM.from_config(
            config.get_text_config()
        )
        self.post_init()

    @property
    def dtype(self) -> torch.dtype:
        """The type of the language model's weights, and so of the saved ones; the projector's are always float32."""
        return self.language_model.dtype

    def get_input_embeddings(self) -> nn.Module:
        """The language model's token embedding."""
        return self.language_model.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        """The language model's head."""
        return cast("nn.Module", self.language_model.get_output_embeddings())

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """As in any module, but a cast to bfloat16 leaves the buffers: angles of rotary embeddings need all digits."""
        before = dict(self.named_buffers())
        super()._apply(fn, recurse)
        for name, buffer in self.named_buffers():
            if buffer.dtype != before[name].dtype:
                buffer.data = before[name].to(buffer.device)
        return self

    @property
    def is_quantized(self) -> bool:
        """Whether the language model's weights are in 4 bits, and cannot learn."""
        model = cast("Any", self.language_model)
        return getattr(model, "is_loaded_in_4bit", False) and hasattr(model, "hf_quantizer")

    @property
    def _sees_packs_in_one_row(self) -> bool:
        """Whether attention keeps packed samples apart in a batch of one row alone, as transformers' flash does."""
        return "flash" in cast("Any", self.language_model.config)._attn_implementation

    def dequantize(self, dtype: torch.dtype | None = None) -> None:
        """Make quantised weights of the language model plain ones of what they stand for; adapters stay."""
        if self.is_quantized:
            self.language_model.dequantize(dtype)

    def embed(
        self, input_ids: Int[Tensor, "batch length"], image_embeds: Float[Tensor, "images d"] | None = None
    ) -> Float[Tensor, "batch length hidden"]:
        """Token embeddings, the placeholders filled with the visual tokens of the images, row by row.

        Raises ValueError where placeholders and images do not match in number.
        """
        is_visual = input_ids == self.config.image_token_id
        embeds: Tensor = self.get_input_embeddings()(input_ids.masked_fill(is_visual, 0))
        if image_embeds is None:
            image_embeds = embeds.new_zeros(0, self.config.embedding_dimension)
        images, tokens = image_embeds.shape[0], int(is_visual.sum())
        if tokens != images * self.config.visual_tokens:
            raise ValueError(f"{tokens} placeholders for {images} images of {self.config.visual_tokens} tokens.")
        visual: Tensor = self.projector(image_embeds.to(self.projector.dtype))
        return embeds.masked_scatter(is_visual.unsqueeze(-1), visual.to(embeds.dtype))

    def forward(
        self,
        input_ids: Int[Tensor, "batch length"] | None = None,
        image_embeds: Float[Tensor, "images d"] | None = None,
        attention_mask: Int[Tensor, "batch seen"] | None = None,
        position_ids: Int[Tensor, "batch length"] | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Float[Tensor, "batch length hidden"] | None = None,
        labels: Int[Tensor, "batch length"] | None = None,
        num_items_in_batch: int | None = None,
        logits_to_keep: int | Int[Tensor, " kept"] = 0,
        **kwargs: Any,
    ) -> UnicornOutput:
        """Logits at every position or at those to keep; with labels, the loss and no logits.

        Samples packed into one row, each with `position_ids` from 0, do not see each other: give no attention
        mask and `use_cache=False` then. The loss is the summed cross-entropy of the supervised tokens divided
        by `num_items_in_batch`, or by their number; it is taken in chunks, so that training never holds the
        logits of all its positions.
        """
        if inputs_embeds is None:
            inputs_embeds = self.embed(cast("Tensor", input_ids), image_embeds)
        rows = inputs_embeds.shape[0]
        flat = rows > 1 and position_ids is not None and attention_mask is None and self._sees_packs_in_one_row
        if flat:  # a row begins at position 0 as a sample does
            inputs_embeds, position_ids = (
                inputs_embeds.flatten(0, 1)[None],
                cast("Tensor", position_ids).flatten()[None],
            )
        outputs = self.language_model.get_decoder()(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            **kwargs,
        )
        hidden: Tensor = outputs.last_hidden_state
        if flat:
            hidden = hidden.unflatten(1, (rows, -1))[0]
        loss = logits = token_losses = None
        if labels is None:
            kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
            logits = self.get_output_embeddings()(hidden[:, kept])
        else:
            targets = labels[:, 1:]
            supervised = targets != IGNORED
            head = self.get_output_embeddings()
            summed, token_losses = summed_cross_entropy(
                head, hidden[:, :-1][supervised], targets[supervised], self.logits_at_a_time
            )
            loss = summed / (num_items_in_batch or supervised.sum())
        return UnicornOutput(
            loss=cast("Any", loss),
            token_losses=token_losses,
            logits=cast("Any", logits),
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def prepare_inputs_for_generation(
        self,
        input_ids: Int[Tensor, "batch length"],
        next_sequence_length: int | None = None,
        past_key_values: Cache | None = None,
        attention_mask: Int[Tensor, "batch seen"] | None = None,
        inputs_embeds: Float[Tensor, "batch length hidden"] | None = None,
        is_first_iteration: bool | None = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The inputs of a decoding step: images are read with the prompt, and then live in the cache."""
        inputs: dict[str, Any] = cast("Any", super()).prepare_inputs_for_generation(
            input_ids,
            next_sequence_length=next_sequence_length,
            past_key_values=past_key_values,
            attention_mask=attention_mask,
            inputs_embeds=inputs_embeds,
            is_first_iteration=is_first_iteration,
            **kwargs,
        )
        if not is_first_iteration and kwargs.get("use_cache", True):
            inputs.pop("image_embeds", None)
        return inputs

    def _expand_inputs_for_generation(
        self,
        expand_size: int = 1,
        is_encoder_decoder: bool = False,
        input_ids: Int[Tensor, "batch length"] | None = None,
        **model_kwargs: Any,
    ) -> tuple[Any, dict[str, Any]]:
        """Repeat each row for beams or samples, the images of a row together."""
        image_embeds = model_kwargs.pop("image_embeds", None)
        if image_embeds is not None and input_ids is not None:
            placeholders = (input_ids == self.config.image_token_id).sum(dim=1)
            by_row = image_embeds.split((placeholders // self.config.visual_tokens).tolist())
            image_embeds = torch.cat([row.repeat(expand_size, 1) for row in by_row])
        expanded, model_kwargs = cast("Any", super())._expand_inputs_for_generation(
            expand_size, is_encoder_decoder, input_ids, **model_kwargs
        )
        return expanded, model_kwargs | {"image_embeds": image_embeds}
