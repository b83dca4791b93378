"""Bytes -> an RGB image, whatever the mode, the turn or the harm that they carry."""

import io
import struct
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

# Those that people keep pictures in, all decoded inside this process: EPS, say, would start Ghostscript on the file.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "PPM", "AVIF")
# A tower scales the shorter side to hundreds of pixels: a strip would grow to gigabytes there.
_STRIP = 32


class UnreadableError(Exception):
    """Bytes of which no picture can be made; its text is the reason."""


@dataclass(kw_only=True)
class DecodingSettings:
    """How large a picture may be.

    One of more than `most_pixels` is refused by its header, before anything is unpacked (Pillow's own limit of 179
    million holds, too); one whose longer side is above `longest_side` is scaled down to it, to bound the memory.
    """

    longest_side: int = 1024
    most_pixels: int = 100_000_000


def decode(data: bytes, settings: DecodingSettings) -> "Image":
    """An upright RGB image of 8 bits: what is transparent becomes white, and of several frames the first is taken.

    Raises UnreadableError if there is no whole picture, or it is larger than `settings` allows.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata, which no vector depends on
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return as_seen(image, settings)
    except UnreadableError:
        raise
    except Image.UnidentifiedImageError as error:
        raise UnreadableError("not a picture in a format that is read") from error
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        raise UnreadableError(str(error)) from error
    except Exception as error:  # Pillow's decoders are not known by what they raise on hostile bytes
        raise UnreadableError(f"{type(error).__name__}: {error}") from error


def as_seen(image: "Image", settings: DecodingSettings) -> "Image":
    """What a person sees of an image: upright RGB of 8 bits, at white where it is transparent.

    Raises UnreadableError if it is larger than `settings` allows, a strip, or of grey values of unknown range.
    """
    from PIL import ImageOps

    width, height = image.size
    if width * height > settings.most_pixels:
        raise UnreadableError(f"{width} x {height} pixels are more than most_pixels={settings.most_pixels}")
    if max(width, height) > _STRIP * min(width, height):
        raise UnreadableError(f"{width} x {height} pixels are a strip, more than {_STRIP} times as long as wide")
    image.draft("RGB", (settings.longest_side, settings.longest_side))  # a large JPEG is unpacked at a fraction of it
    upright = ImageOps.exif_transpose(_rgb(image))
    upright.thumbnail((settings.longest_side, settings.longest_side))
    return upright


def _rgb(image: "Image") -> "Image":
    """The image in RGB, with its EXIF."""
    from PIL import Image

    if image.mode in ("I", "F"):
        raise UnreadableError("grey values of 32 bits, whose range is not known")
    if image.mode.startswith("I;16"):  # Pillow's own conversion clips at 255
        values = np.asarray(image)
        bits = 12 if values.max() < 1 << 12 else 16  # cameras and scanners leave 12 in 16, and their files say nothing
        converted = Image.fromarray((values >> bits - 8).astype(np.uint8)).convert("RGB")
    elif image.has_transparency_data:
        opaque = image.convert("RGBA")
        converted = Image.new("RGB", image.size, "white")
        converted.paste(opaque, mask=opaque)
    else:
        converted = image.convert("RGB")
    converted.info["exif"] = image.getexif().tobytes()
    return converted
