"""The model as a citizen of Hugging Face: importing this package tells transformers of it, which is all it does.

    import unicorn.hub
    AutoModelForImageTextToText.from_pretrained(...)   # and AutoConfig, AutoProcessor

Registration is a side effect by its nature, and this file is the only one that has it.
"""

from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from unicorn.hub.processor import UnicornProcessor
from unicorn.model.configuration import UnicornConfig
from unicorn.model.modeling import UnicornForConditionalGeneration

__all__ = ["UnicornConfig", "UnicornForConditionalGeneration", "UnicornProcessor"]

AutoConfig.register(UnicornConfig.model_type, UnicornConfig)
AutoModelForImageTextToText.register(UnicornConfig, UnicornForConditionalGeneration)
AutoProcessor.register(UnicornConfig, UnicornProcessor)
