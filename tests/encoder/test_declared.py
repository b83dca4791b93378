"""A space without towers: enough to train in, and not to encode with."""

import pytest

from unicorn.encoder.declared import DeclaredEncoderSettings
from unicorn.errors import UserError


def test_it_has_a_name_and_encodes_nothing() -> None:
    declared = DeclaredEncoderSettings(space="mine")
    assert declared.space == "mine"
    for asked in (declared.require, declared.text_tower, declared.image_tower, lambda: declared.dimension):
        with pytest.raises(UserError, match=r"encoder=declared names the space mine and has no towers: it trains"):
            asked()
