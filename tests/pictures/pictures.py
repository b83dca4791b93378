"""Encoded pictures for tests."""

import io
from typing import Any

import numpy as np
from PIL import Image

CORNERS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


def four_corners(size: int = 32) -> Image.Image:
    """Red, green / blue, white: no turn or mirroring of it looks like it."""
    pixels = np.zeros((size, size, 3), dtype=np.uint8)
    half = size // 2
    for (row, column), colour in zip(((0, 0), (0, 1), (1, 0), (1, 1)), CORNERS.values(), strict=True):
        pixels[row * half : (row + 1) * half, column * half : (column + 1) * half] = colour
    return Image.fromarray(pixels)


def corners(image: Image.Image) -> list[str]:
    """The names of the colours nearest to those at the middle of each quarter."""
    pixels = np.asarray(image).astype(int)
    height, width = pixels.shape[:2]
    points = [(height // 4, width // 4), (height // 4, 3 * width // 4)]
    points += [(3 * height // 4, width // 4), (3 * height // 4, 3 * width // 4)]
    return [min(CORNERS, key=lambda name: np.abs(pixels[point] - CORNERS[name]).sum()) for point in points]


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of its file."""
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()
