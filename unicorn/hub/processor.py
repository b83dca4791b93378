"""Pictures and text -> what the model's `generate` takes, as the processors of other vision-language models do."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from huggingface_hub import snapshot_download
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor
from transformers import BatchFeature
from transformers.image_utils import load_image
from transformers.processing_utils import ProcessorMixin

from unicorn.errors import UserError
from unicorn.hub.picture_encoder import PictureEncoder
from unicorn.pictures.decoding import DecodingSettings, UnreadableError, decode

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VISION = "vision"
"""The folder of the picture encoder in that of a model."""

Pictures = Image | str | Sequence[Image | str] | Sequence[Sequence[Image | str]]
Turn = dict[str, Any]


class UnicornProcessor(ProcessorMixin):
    """Tokeniser and picture encoder of a model, saved with it.

    Of a chat each picture stands where its message has it; of a question with pictures, all stand before it. Rows
    are padded on the left, and come as tensors.
    """

    text_kwargs: ClassVar[dict[str, Any]] = {  # pyright: ignore[reportIncompatibleVariableOverride]
        "padding": True,
        "padding_side": "left",
        "return_tensors": "pt",
        "add_special_tokens": False,  # chat templates write their own
        "return_token_type_ids": False,
    }

    def __init__(
        self,
        tokenizer: "PreTrainedTokenizerFast",
        visual_tokens: int = 1,
        picture_encoder: PictureEncoder | None = None,
        chat_template: str | None = None,
    ) -> None:
        """Without a picture encoder it takes image vectors alone."""
        super().__init__(tokenizer, chat_template=chat_template or tokenizer.chat_template)
        tokenizer.padding_side = "left"
        self.visual_tokens = visual_tokens
        self.image_token = cast("str", tokenizer.image_token)
        self.image_token_id = cast("int", tokenizer.image_token_id)
        self.image_processor = picture_encoder

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        images: Pictures | None = None,
        text: str | Sequence[str] | None = None,
        image_embeds: Float[Tensor, "images d"] | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """`input_ids` and `attention_mask`, and `image_embeds` where there are images, of one text or several.

        A text with a placeholder for each of its images is a prompt, and taken as it is; one without any is a question
        about its images, and put into the chat template. Images are PIL's, or paths or addresses of some: one, a list
        (for one text all are its own, for several each has one), or a list for each text. `image_embeds` takes their
        place: vectors as this gives them. What else is given is the tokeniser's, such as `padding`.

        Raises ValueError if images and texts or placeholders do not match in number, and UserError if a picture
        cannot be read, or a mean is needed to centre it and none is known.
        """
        if text is None:
            raise ValueError("a text is needed: the prompt, or a question about the images.")
        texts = [text] if isinstance(text, str) else list(text)
        if image_embeds is None:
            by_text = _by_text(images, len(texts))
            counts = [len(few) for few in by_text]
            given = [image for few in by_text for image in few]
        else:
            each, rest = divmod(len(image_embeds), len(texts))
            counts = [each + rest] if len(texts) == 1 else [each] * len(texts)
            given = image_embeds
        if sum(counts) and not any(self.image_token in each for each in texts):
            texts = [self._question(each, count) for each, count in zip(texts, counts, strict=True)]
        placeholders = sum(each.count(self.image_token) for each in texts)
        if placeholders != len(given):
            raise ValueError(f"{placeholders} {self.image_token} in the text for {len(given)} images.")
        return super().__call__(text=texts, images=cast("Any", given if len(given) else None), **kwargs)

    def apply_chat_template(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        conversation: Sequence[Turn] | Sequence[Sequence[Turn]],
        *args: Any,
        processor_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """The chat as a prompt or, with `tokenize=True, return_dict=True`, as what the model takes.

        A message's content is a text, or a list of {"type": "text", "text": ...} and {"type": "image", ...}, the image
        under "image", "url" or "path", or given as `images` in `processor_kwargs`.
        """
        chats, several = self._normalize_conversations(conversation)
        images, _, _, _ = self._multimodal_inputs_from_conversations(chats, {})
        flat = [[turn | {"content": self._flat(turn["content"])} for turn in chat] for chat in chats]
        if any(images):
            processor_kwargs = {"images": images if several else images[0]} | (processor_kwargs or {})
        return super().apply_chat_template(
            cast("Any", flat if several else flat[0]), *args, processor_kwargs=processor_kwargs, **kwargs
        )

    def _question(self, text: str, images: int) -> str:
        content = [{"type": "image"}] * images + [{"type": "text", "text": text}]
        return self.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)

    def _flat(self, content: str | Sequence[Turn]) -> str:
        """Text and placeholders, a line each: chat templates of language models read text alone."""
        if isinstance(content, str):
            return content
        return "\n".join(self.image_token if part["type"] == "image" else part["text"] for part in content)

    def prepare_inputs_layout(self, images: Any = None, text: Any = None, **kwargs: Any) -> tuple[Any, ...]:  # pyright: ignore
        """As they are: `__call__` has laid them out."""
        return images, text, None, None

    def validate_inputs(self, **kwargs: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Nothing: `__call__` has seen to it."""

    def _process_images(self, images: Any, **kwargs: Any) -> tuple[dict[str, Any], list[str]]:
        vectors = images if isinstance(images, Tensor) else self._encoder.encode([_loaded(image) for image in images])
        return {"image_embeds": vectors}, [self.image_token * self.visual_tokens] * len(images)

    @property
    def _encoder(self) -> PictureEncoder:
        if self.image_processor is None:
            raise UserError("this processor has no picture encoder. Give it image_embeds, or load it with its model.")
        return self.image_processor

    @property
    def model_input_names(self) -> list[str]:
        """What `__call__` gives."""
        return ["input_ids", "attention_mask", "image_embeds"]

    def to_dict(self) -> dict[str, Any]:
        """What processor_config.json says."""
        return {"processor_class": type(self).__name__, "visual_tokens": self.visual_tokens}

    def save_pretrained(self, save_directory: str | Path, push_to_hub: bool = False, **kwargs: Any) -> list[str]:
        """Write the tokeniser, processor_config.json, and the picture encoder into `vision/`."""
        if self.image_processor is not None:
            self.image_processor.save(Path(save_directory) / VISION)
        return super().save_pretrained(str(save_directory), push_to_hub, **kwargs)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs: Any) -> Self:  # pyright: ignore
        """What `save_pretrained` wrote, from a folder or from the Hub.

        Raises UserError if a file of the picture encoder is damaged, or names classes that are not installed.
        """
        name = str(pretrained_model_name_or_path)
        processor = super().from_pretrained(name, **kwargs)
        hub = {key: kwargs[key] for key in ("revision", "token", "cache_dir", "local_files_only") if kwargs.get(key)}
        if not (folder := Path(name)).is_dir():
            folder = Path(snapshot_download(name, allow_patterns=f"{VISION}/*", **hub))
        if (folder / VISION).is_dir():
            processor.image_processor = PictureEncoder.load(folder / VISION)
        return processor


def _by_text(images: Any, texts: int) -> list[list[Any]]:
    """The images of each text."""
    if images is None:
        return [[]] * texts
    if not isinstance(images, (list, tuple)):
        images = [images]
    if any(isinstance(few, (list, tuple)) for few in images):
        by_text = [list(few) for few in images]
    else:
        by_text = [list(images)] if texts == 1 else [[image] for image in images]
    if len(by_text) != texts:
        raise ValueError(f"images of {len(by_text)} texts were given with {texts}. Give a list of them for each text.")
    return by_text


def _loaded(image: Image | str) -> Image:
    """A picture given as such, as a file, or as what transformers loads besides: an address, or base64."""
    if not isinstance(image, str):
        return image
    if not (path := Path(image)).is_file():
        return load_image(image)
    try:
        return decode(path.read_bytes(), DecodingSettings())
    except UnreadableError as error:
        raise UserError(f"{path} is no picture that can be read: {error}. Name another file.") from error
