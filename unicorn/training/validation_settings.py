"""When held-out samples are looked at; apart from what looks at them, which loads torch."""

from dataclasses import dataclass

from unicorn.errors import UserError


@dataclass(kw_only=True)
class ValidationSettings:
    """When held-out samples are looked at, and how many; nothing of it changes what is learned."""

    every: int | None = None
    """Steps from one validation to the next; null: at the end of each epoch, where there always is one."""
    samples: int = 1024
    """Samples that the losses are taken over, at most."""
    gallery: int = 32
    """Samples among which each one's image is to find its own; takes gallery x gallery forward passes. 0: none."""
    generations: int = 4
    """Samples that the model answers, beside their references."""
    max_new_tokens: int = 64
    """Of an answer."""

    def __post_init__(self) -> None:
        for key, least in (("every", 1), ("samples", 1), ("gallery", 0), ("generations", 0), ("max_new_tokens", 1)):
            value = getattr(self, key)
            if value is not None and value < least:
                raise UserError(f"validation.{key}={value} is too few: {least} at least.")
        if self.gallery == 1:
            raise UserError("validation.gallery=1: among one sample each image finds its own. Choose 2 at least, or 0.")
