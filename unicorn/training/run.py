"""One stage from start to end: begun, resumed where it was killed, or, finished before, read back."""

import hashlib
import logging
import shutil
import warnings
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.utilities import rank_zero_only
from safetensors import SafetensorError

from unicorn.data.conversation import ConversationTokenizer
from unicorn.data.module import UnicornDataModule
from unicorn.data.settings import DataSettings
from unicorn.dataset.manifest import Part
from unicorn.dataset.reader import UnicornDataset
from unicorn.errors import UserError
from unicorn.files import cannot_write, lock_folder
from unicorn.model.modeling import UnicornForConditionalGeneration
from unicorn.stamp import CHECKSUMS, stamps_of, write_sealed
from unicorn.training.checkpoint import newest
from unicorn.training.layers import prepare_layers
from unicorn.training.logger import LoggerSettings
from unicorn.training.module import UnicornModule
from unicorn.training.record import StageRecord
from unicorn.training.stage import Stage
from unicorn.training.trainer import TrainerSettings
from unicorn.transfer.transfer import Transfer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """The model after a stage, and the stage's numbers, keys with its name before them."""

    model: UnicornForConditionalGeneration
    metrics: dict[str, float]


def run_stage(
    stage: Stage,
    *,
    model: UnicornForConditionalGeneration,
    tokenizer: "PreTrainedTokenizerFast",
    dataset: UnicornDataset,
    transfer: Transfer,
    data: DataSettings,
    trainer: TrainerSettings,
    logger: LoggerSettings,
    run: Path,
    seed: int,
    made_by: dict[str, Any],
) -> StageResult:
    """Train `model` for one stage in the folder `run/<stage>`.

    A stage that was killed goes on at its last checkpoint; a finished one is read back. It starts from what
    the stage that it follows left in the run. `made_by` tells what the run is made with besides what is known
    here: the settings of model and transfer. Raises UserError if the folder was made with anything else, or
    if the stage that it follows is not finished.
    """
    record = StageRecord(run / stage.name)
    common = made_by | {"seed": seed, "row_length": data.row_length, "precision": trainer.precision.value}
    own: dict[str, Any] = {"settings": asdict(stage.settings), "dataset": digests(dataset, stage.parts)}
    if stage.follows:
        own["follows"] = _start_from(StageRecord(run / stage.follows), common, model, stage)
    record.begin(common | own)
    torch.manual_seed(seed)
    module = stage.prepare(model).train()
    if record.finished:
        _log.info("%s: finished before, read back", stage.name)
        metrics = record.restore(module)
    else:
        batches = UnicornDataModule(
            dataset=dataset,
            transfer=transfer,
            tokenizer=ConversationTokenizer(tokenizer, model.config.visual_tokens),
            samples_of=stage.samples,
            settings=data,
            batch=stage.settings.batch,
            seed=seed,
            folder=record.folder,
        )
        prepare_layers(module, checkpointing=trainer.gradient_checkpointing, compiling=trainer.compile)
        lightning = trainer.build(stage, record.checkpoints, logger.build(record.folder, run.name))
        unicorn = UnicornModule(
            module, stage, seed=seed, log_every=trainer.log_every, fused_optimizer=trainer.fused_optimizer
        )
        metrics = _fit(lightning, unicorn, batches, record)
    named = {f"{stage.name}/{key}": value for key, value in metrics.items()}
    return StageResult(model=stage.finish(module).eval(), metrics=named)


@contextmanager
def writing(run: Path) -> Generator[None]:
    """The run's folder, for this process alone, and for the ranks that it starts, which come here too.

    Raises UserError if another process is writing to it.
    """
    if getattr(rank_zero_only, "rank", 0):
        yield
        return
    lock = lock_folder(run, "name")
    try:
        yield
    finally:
        lock.release()


def is_finished(stage: str, run: Path) -> bool:
    """Whether the stage of that name has been trained to its end in the folder `run`."""
    return StageRecord(run / stage).finished


def save_model(folder: Path, model: UnicornForConditionalGeneration, tokenizer: "PreTrainedTokenizerFast") -> None:
    """Save model and tokeniser as Hugging Face does, with their checksums, the folder whole or not at all.

    Raises UserError, naming the folder, where the system refuses (a full disk).
    """
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.dequantize()
    try:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        files = sorted(path.name for path in partial.iterdir())
        write_sealed(partial / CHECKSUMS, {"files": stamps_of(partial, files)})
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise cannot_write(folder, OSError(error) if isinstance(error, SafetensorError) else error) from error


def digests(dataset: UnicornDataset, parts: Iterable[Part]) -> dict[str, str]:
    """What tells the content of a dataset's parts: a checksum over those of their shards."""
    shards = {part.value: dataset.manifest.parts[part].shards.values() for part in parts}
    stamps = {part: "".join(shard.stamp.xxh3_128 for shard in made) for part, made in shards.items()}
    return {part: hashlib.sha256(stamp.encode()).hexdigest() for part, stamp in stamps.items()}


def _start_from(
    previous: StageRecord, common: dict[str, Any], model: UnicornForConditionalGeneration, stage: Stage
) -> str:
    """Put what the stage before learned into the model; returns the checksum of it."""
    if not previous.finished:
        raise UserError(
            f"{stage.name} starts from what {stage.follows} learned, and {previous.folder} is not finished. "
            f"Add {stage.follows} to stages."
        )
    previous.require(common)
    previous.restore(model)
    return previous.digest()


def _fit(trainer: Trainer, module: UnicornModule, data: UnicornDataModule, record: StageRecord) -> dict[str, float]:
    """Train, from the newest checkpoint if there is one, and keep what was learned."""
    checkpoint = newest(record.checkpoints)
    if checkpoint:
        _log.info("%s: goes on at %s", record.folder.name, checkpoint.stem)
    with warnings.catch_warnings():
        # Lightning 2.6 asks of its loaders in a way that torch 2.13 deprecates.
        warnings.filterwarnings("ignore", r".*isinstance\(treespec, LeafSpec\)", FutureWarning)
        try:
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        except SystemExit as error:  # which Lightning makes of it
            raise KeyboardInterrupt from error
    timer = next(callback for callback in trainer.callbacks if isinstance(callback, Timer))  # pyright: ignore
    losses = {key: number for key, number in module.numbers.items() if key.endswith("loss")}
    metrics = losses | {
        "samples": len(data.training),
        "held_out": len(data.held_out),
        "rejected": data.samples.rejected,
        "steps": trainer.global_step,
        "seconds": timer.time_elapsed(),
    }
    if trainer.is_global_zero:
        record.finish(module.model, metrics)
    trainer.strategy.barrier()
    return metrics
