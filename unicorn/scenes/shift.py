"""Test sets that are not as the captions of training have it: the same scenes in another light, or other scenes."""

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from unicorn.evaluation.style import Style, restyled
from unicorn.scenes.graph import Scene

if TYPE_CHECKING:
    from PIL.Image import Image


class Shift(StrEnum):
    """`tint`, `dark` and `blur` change the style of every picture, `content` what there is to see."""

    none = "none"
    tint = "tint"
    dark = "dark"
    blur = "blur"
    content = "content"


def shifted_scene(scene: Scene, shift: Shift) -> Scene:
    """The scene, before a black background where the content is shifted."""
    return replace(scene, background="black") if shift is Shift.content else scene


def shifted_picture(picture: "Image", shift: Shift) -> "Image":
    """The RGB picture, in another style where the shift is one of style."""
    return restyled(picture, Style(shift)) if shift in tuple(Style) else picture
