"""The folder of a saved model: written whole or not at all, checked before it is read."""

import shutil
from pathlib import Path

from safetensors import SafetensorError

from unicorn.errors import UserError
from unicorn.files import cannot_write
from unicorn.hub.picture_encoder import CALIBRATION
from unicorn.hub.processor import VISION, UnicornProcessor
from unicorn.model.modeling import UnicornForConditionalGeneration
from unicorn.stamp import CHECKSUMS, check_stamps, damaged, read_sealed, stamps_of, write_sealed


def save_model(folder: Path, model: UnicornForConditionalGeneration, processor: UnicornProcessor) -> None:
    """Save model and processor as Hugging Face does, with their checksums, the folder whole or not at all.

    A calibration that an evaluation has left in the folder stays. Raises UserError, naming the folder, where the
    system refuses (a full disk).
    """
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.dequantize()
    try:
        model.save_pretrained(partial)
        processor.save_pretrained(partial)
        if (folder / VISION / CALIBRATION).exists():
            shutil.copytree(folder / VISION / CALIBRATION, partial / VISION / CALIBRATION, dirs_exist_ok=True)
        replace_by(partial, folder)
    except (OSError, SafetensorError, UserError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, UserError):
            raise
        raise cannot_write(folder, OSError(error) if isinstance(error, SafetensorError) else error) from error


def replace_by(made: Path, folder: Path) -> None:
    """Put a finished folder of a model in the place of `folder`, with the checksums of what it holds.

    The calibration is not among them: it has its own, and an evaluation may change it.
    """
    files = [path for path in made.rglob("*") if path.is_file() and CALIBRATION not in path.parts]
    names = sorted(path.relative_to(made).as_posix() for path in files if path.name != CHECKSUMS)
    write_sealed(made / CHECKSUMS, {"files": stamps_of(made, names)})
    shutil.rmtree(folder, ignore_errors=True)
    made.rename(folder)


def check_model(folder: Path) -> None:
    """Raises UserError, naming the file, if a file of the model is not as `save_model` wrote it."""
    remedy = "Restore it from a copy, or run python train.py again."
    try:
        stamps = read_sealed(folder / CHECKSUMS, remedy)["files"]
    except FileNotFoundError as error:
        raise damaged(folder / CHECKSUMS, "is missing", remedy) from error
    check_stamps(folder, stamps, remedy)
