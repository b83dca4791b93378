"""A finished training run, opened to be asked."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from unicorn.encoder.tower import EncoderSettings
from unicorn.errors import UserError
from unicorn.transfer.transfer import Transfer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from unicorn.model.modeling import UnicornForConditionalGeneration

MODEL = "model"
TRANSFER = "transfer"


@dataclass(frozen=True, kw_only=True)
class Run:
    """What train.py left in its run folder: the model, its tokeniser, the transfer it was trained under."""

    path: Path
    model: "UnicornForConditionalGeneration"
    tokenizer: "PreTrainedTokenizerFast"
    transfer: Transfer

    def require_encoder(self, encoder: EncoderSettings) -> None:
        """Raises UserError, naming both, if the encoder's space is not the one that was trained in."""
        if encoder.space != self.transfer.space:
            raise UserError(
                f"{self.path} was trained in {self.transfer.space}, and this encoder's space is "
                f"{encoder.space}. Run python synthesize.py and python train.py with it, into a new dataset= "
                "and run=."
            )

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises UserError if there is no run at `path`, or no finished model in it that can be read."""
        for needed, what in (
            (path, "run"),
            (path / MODEL / "config.json", "model"),
            (path / TRANSFER, "transfer"),
        ):
            if not needed.exists():
                if runs := sorted(str(model.parent) for model in path.glob(f"*/{MODEL}")):
                    raise UserError(f"{path} holds runs of a sweep. Name one of them: run={', run='.join(runs)}.")
                raise UserError(f"no {what} at {needed}: run python train.py first, or name another run=.")

        from safetensors import SafetensorError
        from transformers import AutoTokenizer

        from unicorn.hub.saved import check_model
        from unicorn.model.modeling import UnicornForConditionalGeneration
        from unicorn.transfer import load_transfer

        check_model(path / MODEL)
        try:
            model = UnicornForConditionalGeneration.from_pretrained(path / MODEL)
            tokenizer = AutoTokenizer.from_pretrained(path / MODEL, config=model.config)
        except (OSError, ValueError, SafetensorError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"the model in {path / MODEL} cannot be read: {reason}. Run python train.py again."
            ) from error
        return cls(path=path, model=model.eval(), tokenizer=tokenizer, transfer=load_transfer(path / TRANSFER))
