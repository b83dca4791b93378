"""Pictures of the same things in another style, as another camera or another hour would have them."""

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


class Style(StrEnum):
    """`tint`: evening light; `dark`: half the brightness; `blur`: out of focus."""

    tint = "tint"
    dark = "dark"
    blur = "blur"


_GAINS = {Style.tint: (1.0, 0.82, 0.6), Style.dark: (0.5, 0.5, 0.5)}  # of red, green and blue
_BLUR = 0.02  # the Gaussian's standard deviation, in shorter sides of the picture


def restyled(picture: "Image", style: Style) -> "Image":
    """The picture in RGB and in that style."""
    from PIL import Image, ImageFilter

    picture = picture.convert("RGB")
    if style is Style.blur:
        return picture.filter(ImageFilter.GaussianBlur(_BLUR * min(picture.size)))
    bands = zip(picture.split(), _GAINS[style], strict=True)
    return Image.merge("RGB", [band.point([round(level * gain) for level in range(256)]) for band, gain in bands])
