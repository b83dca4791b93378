"""The space of vectors that were imported: a name, and no tower that makes more of them."""

from dataclasses import dataclass
from typing import NoReturn

from unicorn.errors import UserError


@dataclass(kw_only=True)
class DeclaredEncoderSettings:
    """`space` is the name that the vectors were imported under (synthesis.vectors.encoder)."""

    space: str

    @property
    def dimension(self) -> int:
        """Raises UserError: the vectors tell their length, and no others are made."""
        self._refuse()

    def require(self) -> NoReturn:
        """Raises UserError: there is no tower."""
        self._refuse()

    def text_tower(self) -> NoReturn:
        """Raises UserError: there is none."""
        self._refuse()

    def image_tower(self) -> NoReturn:
        """Raises UserError: there is none."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise UserError(
            f"encoder=declared names the space {self.space} and has no towers: it trains on imported vectors alone. To "
            "encode texts or pictures, write an encoder with that space (README, Add a tower)."
        )
