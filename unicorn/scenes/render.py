"""A scene as a picture of 48 x 48 pixels, drawn four times as large and reduced.

Position, size, shade and rotation vary a little, never so much that an attribute changes. The four domains differ in
style (outlines on paper, darkness, haze and grain), and every attribute, colour included, shows in each of them.
"""

import math
import random

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from unicorn.scenes.graph import PICTURE_SIZE, POSITIONS, Object, Scene, grid

_SCALE = 4
_CELL = PICTURE_SIZE * _SCALE // 3
_PERIOD = 6 * _SCALE  # of a texture
_RADIUS = {"small": 4.8 * _SCALE, "large": 7.5 * _SCALE}
_PAPER = (250, 246, 236)
_INK = (40, 38, 44)

_OBJECT_RGB = {
    "red": (215, 25, 30),
    "orange": (255, 130, 10),
    "yellow": (255, 225, 30),
    "green": (30, 165, 45),
    "blue": (35, 70, 225),
    "purple": (130, 35, 165),
    "pink": (255, 125, 190),
}
_BACKGROUND_RGB = {  # the ground, and the shade its texture is drawn in
    "white": ((245, 245, 245), (190, 190, 190)),
    "black": ((15, 15, 15), (70, 70, 70)),
    "gray": ((135, 135, 135), (90, 90, 90)),
    "brown": ((125, 75, 35), (80, 45, 18)),
    "turquoise": ((60, 200, 195), (25, 145, 145)),
}

_RGB = tuple[int, int, int]
_Pixels = Float[np.ndarray, "48 48 3"]


def render(scene: Scene, rng: random.Random) -> Image.Image:
    """The scene as an RGB image; a function of the scene and of the state of `rng`."""
    sketch = scene.domain == "sketch"
    ground, shade = (
        _mix(_jitter(rgb, 6, rng), _PAPER, 0.4 if sketch else 0.0) for rgb in _BACKGROUND_RGB[scene.background]
    )
    image = Image.new("RGB", (PICTURE_SIZE * _SCALE, PICTURE_SIZE * _SCALE), ground)
    draw = ImageDraw.Draw(image)
    _draw_texture(draw, scene.texture, shade, rng)
    for item in scene.objects:
        _draw_object(draw, item, ground, sketch, rng)
    if scene.text:
        taken = {item.position for item in scene.objects}
        cell = rng.choice([position for position in POSITIONS if position not in taken])
        _draw_text(draw, scene.text, cell, ground, rng)
    pixels = np.asarray(image.reduce(_SCALE), dtype=np.float64)
    pixels = _develop(pixels, scene.domain, rng) * rng.uniform(0.94, 1.06)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _develop(pixels: _Pixels, domain: str, rng: random.Random) -> _Pixels:
    """The style of a domain that is laid over the finished picture."""
    noise = np.random.default_rng(rng.getrandbits(64))
    match domain:
        case "night":
            moonlight = pixels * (0.58, 0.6, 0.66) + (0, 4, 26)
            return moonlight + noise.normal(0, 3, pixels.shape)
        case "satellite":
            haze = pixels * 0.7 + (46, 60, 42)
            haze[::4] -= 10  # scan lines
            return haze + noise.normal(0, 6, (PICTURE_SIZE, PICTURE_SIZE, 1))
        case _:
            return pixels + noise.normal(0, 2, pixels.shape)


def _draw_texture(draw: ImageDraw.ImageDraw, texture: str, shade: _RGB, rng: random.Random) -> None:
    side, period = PICTURE_SIZE * _SCALE, _PERIOD
    phase = rng.randrange(period)
    starts = range(phase - 2 * period, side + period, period)
    match texture:
        case "striped":
            slant = rng.choice((-side, side))
            for start in range(phase - side - period, 2 * side + period, period):
                draw.line([(start, 0), (start + slant, side)], fill=shade, width=period // 3)
        case "dotted":
            radius = period * 0.24
            for x in starts:
                for y in starts:
                    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=shade)
        case "checkered":
            for row, y in enumerate(starts):
                for column, x in enumerate(starts):
                    if (row + column) % 2:
                        draw.rectangle((x, y, x + period - 1, y + period - 1), fill=shade)
        case _:
            pass


def _draw_object(draw: ImageDraw.ImageDraw, item: Object, ground: _RGB, sketch: bool, rng: random.Random) -> None:
    radius = _RADIUS[item.size] * rng.uniform(0.94, 1.06)
    x, y = _center(item.position, _SCALE, rng)
    angle = math.radians(rng.uniform(-9, 9))
    fill = _jitter(_OBJECT_RGB[item.colour], 10, rng)
    outline = _INK if sketch else None
    width = _SCALE if sketch else 0
    box = (x - radius, y - radius, x + radius, y + radius)
    match item.shape:
        case "circle":
            draw.ellipse(box, fill=fill, outline=outline, width=width)
        case "ring":
            draw.ellipse(box, outline=fill, width=int(radius * 0.42))
            if sketch:
                draw.ellipse(box, outline=_INK, width=width // 2)
        case _:
            corners = [
                (x + radius * reach * math.sin(turn + angle), y - radius * reach * math.cos(turn + angle))
                for turn, reach in _CORNERS[item.shape]
            ]
            draw.polygon(corners, fill=fill, outline=outline, width=width)
    if sketch:  # strokes of the pencil
        for offset in (-0.3, 0.1):
            start = (x + offset * radius, y + 0.35 * radius)
            if item.shape not in ("ring", "cross"):
                draw.line([start, (start[0] + 0.3 * radius, start[1] - 0.5 * radius)], _mix(fill, ground, 0.5), 2)


def _draw_text(draw: ImageDraw.ImageDraw, text: str, cell: str, ground: _RGB, rng: random.Random) -> None:
    """Black on light or white on dark, bold, as large as the cell allows."""
    ink = (255, 255, 255) if sum(ground) < 440 else (0, 0, 0)
    x, y = _center(cell, _SCALE, rng)
    font = _FONTS[len(text)]
    draw.text((x, y), text, fill=ink, font=font, anchor="mm", stroke_width=_SCALE // 3)


def _center(position: str, slack: float, rng: random.Random) -> tuple[float, float]:
    row, column = grid(position)
    x, y = ((place + 0.5) * _CELL + rng.uniform(-slack, slack) for place in (column, row))
    return x, y


def _jitter(rgb: _RGB, spread: int, rng: random.Random) -> _RGB:
    red, green, blue = (min(255, max(0, value + rng.randint(-spread, spread))) for value in rgb)
    return red, green, blue


def _mix(rgb: _RGB, other: _RGB, share: float) -> _RGB:
    red, green, blue = (round(a * (1 - share) + b * share) for a, b in zip(rgb, other, strict=True))
    return red, green, blue


def _cross() -> list[tuple[float, float]]:
    arm = 0.34  # half the width of an arm
    reach, turn = math.hypot(1, arm), math.atan2(arm, 1)
    inner = math.hypot(arm, arm)
    quarter = [(-turn, reach), (turn, reach), (math.pi / 4, inner)]
    return [(side * math.pi / 2 + angle, length) for side in range(4) for angle, length in quarter]


_CORNERS = {  # angle from the top, distance from the center
    "square": [(math.pi / 4 + side * math.pi / 2, 1.22) for side in range(4)],
    "triangle": [(side * 2 * math.pi / 3, 1.12) for side in range(3)],
    "star": [(corner * math.pi / 5, 0.45 if corner % 2 else 1.15) for corner in range(10)],
    "cross": _cross(),
}
_FONTS = {length: ImageFont.load_default(size) for length, size in ((1, 15 * _SCALE), (2, 12 * _SCALE))}
