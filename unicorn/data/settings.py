"""Settings of the batches: what fits, and how fast; they change no loss."""

from dataclasses import dataclass

from unicorn.errors import UserError


@dataclass(kw_only=True)
class DataSettings:
    """How samples are packed and loaded. Losses are the same whatever is chosen here, `row_length` apart."""

    row_length: int = 2048
    """Tokens of a packed row at most; a longer sample is rejected by id."""
    rows_per_pack: int = 4
    """Rows in one forward pass of one device: as many as its memory takes."""
    workers: int = 0
    """Processes that prepare batches; 0 prepares them between the steps."""

    def __post_init__(self) -> None:
        for key, least in (("row_length", 1), ("rows_per_pack", 1), ("workers", 0)):
            if getattr(self, key) < least:
                raise UserError(f"data.{key}={getattr(self, key)}: {least} at least.")
