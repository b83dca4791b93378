"""The configuration of the model: the language model's own, and how an image vector becomes visual tokens."""

from typing import Any, ClassVar

from transformers import AutoConfig
from transformers.configuration_utils import PreTrainedConfig, SubConfigSpec

from unicorn.model.settings import VisualMode


class UnicornConfig(PreTrainedConfig):
    """Configuration of `UnicornForConditionalGeneration`.

    `embedding_dimension` is the length of an image vector, `projector_layers` the number of linear layers
    with a GELU between each two, `projector_width` what they have between them (None: the language model's
    hidden size), `visual_tokens` how many tokens an image fills, and `image_token_id` the
    placeholder's id, which may lie beyond the language model's vocabulary: it is never embedded.
    """

    model_type = "unicorn"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="llama"),
    }

    text_config: dict[str, Any] | PreTrainedConfig | None = None
    embedding_dimension: int = 1280
    projector_layers: int = 2
    projector_width: int | None = None
    visual_tokens: int = 1
    visual_mode: str = VisualMode.learned.value
    image_token_id: int = -1
