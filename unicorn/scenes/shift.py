"""Test sets that are not as the captions of training have it: the same scenes in another light, or other scenes."""

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from unicorn.scenes.graph import Scene

if TYPE_CHECKING:
    from PIL.Image import Image


class Shift(StrEnum):
    """`tint` and `dark` change the style of every picture, `content` what there is to see."""

    none = "none"
    tint = "tint"
    dark = "dark"
    content = "content"


_GAINS = {Shift.tint: (1.0, 0.82, 0.6), Shift.dark: (0.5, 0.5, 0.5)}  # of red, green and blue


def shifted_scene(scene: Scene, shift: Shift) -> Scene:
    """The scene, before a black background where the content is shifted."""
    return replace(scene, background="black") if shift is Shift.content else scene


def shifted_picture(picture: "Image", shift: Shift) -> "Image":
    """The RGB picture: in evening light (`tint`), at half the brightness (`dark`), or as it is."""
    if shift not in _GAINS:
        return picture
    from PIL import Image

    bands = zip(picture.split(), _GAINS[shift], strict=True)
    return Image.merge("RGB", [band.point([round(level * gain) for level in range(256)]) for band, gain in bands])
