"""Pictures of every mode and turn are decoded as a person would see them; the harmful are refused."""

import io
import struct
import subprocess
import sys
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tests.pictures.pictures import CORNERS, corners, encoded, four_corners
from unicorn.pictures.decoding import DecodingSettings, UnreadableError, decode

SETTINGS = DecodingSettings()
FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "PPM", "AVIF"]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read(kind: str) -> None:
    image = decode(encoded(four_corners(), kind), SETTINGS)
    assert (image.mode, image.size, corners(image)) == ("RGB", (32, 32), list(CORNERS))


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("P", "PNG"), ("P", "GIF"), ("CMYK", "JPEG"), ("CMYK", "TIFF"), ("RGBA", "PNG"), ("RGBA", "WEBP")],
)
def test_every_mode_of_colour_keeps_its_colours(mode: str, kind: str) -> None:
    assert corners(decode(encoded(four_corners().convert(mode), kind), SETTINGS)) == list(CORNERS)


def test_a_laboratory_picture_keeps_its_colours() -> None:
    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(four_corners(), transform)
    assert lab is not None
    assert corners(decode(encoded(lab, "TIFF"), SETTINGS)) == list(CORNERS)


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_grey_is_three_equal_colours(mode: str) -> None:
    pixels = np.asarray(decode(encoded(four_corners().convert(mode)), SETTINGS)).astype(int)
    assert (pixels == pixels[..., :1]).all()
    if mode != "1":
        assert pixels[8, 8, 0] == pytest.approx(76, abs=1)  # the luma of pure red, ITU-R 601


def test_grey_of_16_bits_is_scaled_not_clipped() -> None:
    values = np.array([[0, 255, 256, 32768, 65535]], dtype=np.uint16)
    for kind in ("PNG", "TIFF"):
        pixels = np.asarray(decode(encoded(Image.fromarray(values), kind), SETTINGS))
        assert pixels[0, :, 0].tolist() == [0, 0, 1, 128, 255]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_of_12_bits_in_16_keeps_its_light(kind: str) -> None:
    values = np.array([[0, 15, 16, 2048, 4000, 4095]], dtype=np.uint16)
    pixels = np.asarray(decode(encoded(Image.fromarray(values), kind), SETTINGS))
    assert pixels[0, :, 0].tolist() == [0, 0, 1, 128, 250, 255]
    brighter = np.asarray(decode(encoded(Image.fromarray(values + np.uint16(1)), kind), SETTINGS))
    assert brighter[0, -1, 0] == 16  # 4096 is not of 12 bits


def test_grey_of_32_bits_is_refused() -> None:
    for kind in (np.int32, np.float32):
        with pytest.raises(UnreadableError, match="whose range is not known"):
            decode(encoded(Image.fromarray(np.ones((4, 4), dtype=kind)), "TIFF"), SETTINGS)


def test_what_is_transparent_is_white() -> None:
    clear = four_corners().convert("RGBA")
    clear.putalpha(0)
    assert np.asarray(decode(encoded(clear), SETTINGS)).min() == 255
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert np.asarray(decode(encoded(half), SETTINGS))[0, 0].tolist() == pytest.approx([127] * 3, abs=1)
    palette = four_corners().convert("P")
    red = palette.getpixel((0, 0))
    pixels = np.asarray(decode(encoded(palette, "PNG", transparency=red), SETTINGS))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[0, 31].tolist() == [0, 255, 0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_a_turned_picture_stands_upright(turn: int, kind: str) -> None:
    tag = Image.Exif()
    tag[0x0112] = turn
    # What a camera stores, so that turning it as EXIF 2.32 (section 4.6.4 A) says gives the scene.
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = four_corners().transpose(Image.Transpose(undo[turn])) if turn in undo else four_corners()
    assert corners(decode(encoded(stored, kind, exif=tag), SETTINGS)) == list(CORNERS)


@pytest.mark.parametrize("mode", ["RGBA", "I;16", "P", "L"])
def test_a_turned_picture_stands_upright_in_every_mode(mode: str) -> None:
    tag = Image.Exif()
    tag[0x0112] = 6  # to be turned a quarter, clockwise
    ramp = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)  # from dark above to light below
    stored = Image.fromarray(ramp) if mode == "I;16" else Image.fromarray((ramp >> 8).astype(np.uint8)).convert(mode)
    upright = np.asarray(decode(encoded(stored, exif=tag), SETTINGS)).astype(int)
    assert upright[0, 31].sum() < 30  # above is to the right now
    assert upright[0, 0].sum() > 700


def test_an_animation_is_its_first_frame() -> None:
    other = Image.new("RGB", (32, 32), "black")
    data = encoded(four_corners(), "GIF", save_all=True, append_images=[other, other])
    assert corners(decode(data, SETTINGS)) == list(CORNERS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_large_picture_is_scaled_down(kind: str) -> None:
    wide = four_corners(2000).resize((20_000, 1_000))
    image = decode(encoded(wide, kind), SETTINGS)
    assert (image.size, corners(image)) == ((1024, 51), list(CORNERS))
    assert decode(encoded(four_corners(1024), kind), SETTINGS).size == (1024, 1024)


def test_one_pixel_is_a_picture() -> None:
    assert np.asarray(decode(encoded(Image.new("RGB", (1, 1), "red")), SETTINGS)).tolist() == [[[255, 0, 0]]]


@pytest.mark.parametrize("size", [(33, 1), (1, 33), (20_000, 2)])
def test_a_strip_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(UnreadableError, match="are a strip, more than 32 times"):
        decode(encoded(Image.new("RGB", size)), SETTINGS)
    decode(encoded(Image.new("RGB", (32, 1))), SETTINGS)


def _bomb(side: int) -> bytes:
    """A PNG of few bytes that says it is `side` pixels square."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


LIMITED = """
import resource, sys
from unicorn.pictures.decoding import DecodingSettings, UnreadableError, decode
resource.setrlimit(resource.RLIMIT_DATA, (1 << 28, 1 << 28))
try: print(decode(sys.stdin.buffer.read(), DecodingSettings()).size)
except UnreadableError as error: print(error)
"""


def _decoded_in_256_megabytes(data: bytes) -> str:
    command = [sys.executable, "-c", LIMITED]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout.decode().strip()


def test_a_large_jpeg_is_unpacked_at_a_fraction_of_its_size() -> None:
    whole = Image.new("RGB", (9_900, 9_900), "green")  # 294 MB
    assert _decoded_in_256_megabytes(encoded(whole, "JPEG")) == "(1024, 1024)"


@pytest.mark.parametrize(("side", "reason"), [(10_001, "more than most_pixels"), (20_000, "exceeds limit of")])
def test_a_decompression_bomb_is_refused_without_its_memory(side: int, reason: str) -> None:
    assert reason in _decoded_in_256_megabytes(_bomb(side))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_truncated_picture_is_refused(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = encoded(noise, kind)
    with pytest.raises(UnreadableError):
        decode(data[: len(data) // 2], SETTINGS)


def test_a_format_that_runs_a_program_is_not_read() -> None:
    with pytest.raises(UnreadableError, match="not a picture in a format that is read"):
        decode(encoded(four_corners(), "EPS"), SETTINGS)
    with pytest.raises(UnreadableError, match="not a picture in a format that is read"):
        decode(b"<!doctype html>", SETTINGS)


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(FORMATS),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_whatever_the_damage_it_is_a_picture_or_a_reason(kind: str, damage: list[tuple[float, int]]) -> None:
    data = bytearray(_SMALL[kind])
    for where, value in damage:
        data[int(where * len(data))] = value
    with suppress(UnreadableError):
        assert decode(bytes(data), SETTINGS).mode == "RGB"


_SMALL = {kind: encoded(four_corners(8), kind) for kind in FORMATS}


def test_damaged_metadata_does_not_cost_the_picture() -> None:
    file = io.BytesIO()
    four_corners().save(file, format="JPEG", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff nonsense")
    assert corners(decode(file.getvalue(), SETTINGS)) == list(CORNERS)
