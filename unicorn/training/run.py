"""One stage from start to end: begun, resumed where it was killed, or, finished before, read back."""

import hashlib
import logging
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.utilities import rank_zero_only

from unicorn.data.conversation import ConversationTokenizer
from unicorn.data.module import UnicornDataModule
from unicorn.data.settings import DataSettings
from unicorn.dataset.manifest import Part
from unicorn.dataset.reader import UnicornDataset
from unicorn.device import release_memory
from unicorn.errors import StoppedError, UserError
from unicorn.files import lock_folder
from unicorn.model.modeling import UnicornForConditionalGeneration
from unicorn.training.checkpoint import Checkpoints
from unicorn.training.checkpoint_files import checkpoints
from unicorn.training.layers import prepare_layers
from unicorn.training.logger import LoggerSettings
from unicorn.training.module import NotFiniteError, UnicornModule
from unicorn.training.ranks import GRACE_SECONDS, end_with_first, failure_of_another
from unicorn.training.record import StageRecord
from unicorn.training.stage import Stage
from unicorn.training.trainer import TrainerSettings
from unicorn.training.validation_settings import ValidationSettings
from unicorn.transfer.transfer import Transfer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_log = logging.getLogger(__name__)


Build = Callable[[], "tuple[UnicornForConditionalGeneration, PreTrainedTokenizerFast]"]
"""Makes the model as it is before training: the same at every call under one seed."""


def run_stage(
    stage: Stage,
    *,
    build: Build,
    tokenizer: "PreTrainedTokenizerFast",
    dataset: UnicornDataset,
    transfer: Transfer,
    data: DataSettings,
    trainer: TrainerSettings,
    logger: LoggerSettings,
    validation: ValidationSettings,
    run: Path,
    seed: int,
    made_by: dict[str, Any],
) -> dict[str, float]:
    """Train a model for one stage in the folder `run/<stage>`; returns the stage's numbers, its name before their keys.

    A stage that was killed goes on at its last checkpoint; a finished one is not run again. It starts from what
    the stage that it follows left in the run. `made_by` tells what the run is made with besides what is known
    here: the settings of model and transfer. `require` has let all of it pass. Raises UserError if the folder was
    made with anything else, or if the stage that it follows is not finished.
    """
    record = StageRecord(run / stage.name)
    common = made_by | {
        "seed": seed,
        "row_length": data.row_length,
        "precision": trainer.precision.value,
        "chat_template": hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest(),
    }
    own: dict[str, Any] = {"settings": asdict(stage.settings), "dataset": digests(dataset, stage.parts)}
    previous = StageRecord(run / stage.follows) if stage.follows else None
    if previous:
        own["follows"] = _digest(previous, common, stage)
    record.begin(common | own)
    if record.finished:
        _log.info("%s: finished before", stage.name)
        metrics = record.metrics()
    else:
        release_memory()  # that the stage before has left
        trainer.take_device()
        torch.manual_seed(seed)
        model, _ = build()
        if previous:
            previous.restore(model)
        torch.manual_seed(seed)
        module = stage.prepare(model).train()
        batches = UnicornDataModule(
            dataset=dataset,
            transfer=transfer,
            tokenizer=ConversationTokenizer(tokenizer, model.config.visual_tokens),
            samples_of=stage.samples,
            settings=data,
            batch=stage.settings.batch,
            most_held_out=validation.samples,
            seed=seed,
            folder=record.folder,
        )
        prepare_layers(module, checkpointing=trainer.gradient_checkpointing, compiling=trainer.compile)
        loggers = logger.build(record.folder, common | own)
        lightning = trainer.build(stage, record.checkpoints, loggers, validation)
        unicorn = UnicornModule(
            module,
            stage,
            seed=seed,
            log_every=trainer.log_every,
            fused_optimizer=trainer.fused_optimizer or trainer.offload,  # several times as fast on a CPU
            peak_teraflops=trainer.peak,
        )
        metrics = _fit(lightning, unicorn, batches, record)
    return {f"{stage.name}/{key}": value for key, value in metrics.items()}


def trained(stages: Sequence[Stage], *, build: Build, run: Path, seed: int) -> UnicornForConditionalGeneration:
    """The model that the finished stages of a run made, one after the other."""
    release_memory()  # that their training has left
    torch.manual_seed(seed)
    model, _ = build()
    for stage in stages:
        module = stage.prepare(model)
        StageRecord(run / stage.name).restore(module)
        model = stage.finish(module)
    return model.eval()


@contextmanager
def writing(run: Path) -> Generator[None]:
    """The run's folder, for this process alone, and for the ranks that it starts, which come here too and end with it.

    Raises UserError if another process is writing to it, or if one of those ranks has been killed.
    """
    if getattr(rank_zero_only, "rank", 0):
        end_with_first()
        yield
        return
    lock = lock_folder(run, "name")
    try:
        yield
    except RuntimeError as error:  # with which a collective ends that another rank has left
        if failure := failure_of_another(seconds=GRACE_SECONDS):
            raise failure from error
        raise
    finally:
        lock.release()


def is_finished(stage: str, run: Path) -> bool:
    """Whether the stage of that name has been trained to its end in the folder `run`."""
    return StageRecord(run / stage).finished


def digests(dataset: UnicornDataset, parts: Iterable[Part]) -> dict[str, str]:
    """What tells the content of a dataset's parts: a checksum over those of their shards."""
    made = dataset.manifest.parts
    stamps = {
        part.value: "".join(shard.stamp.xxh3_128 for shard in made[part].shards.values()) if part in made else ""
        for part in parts
    }
    return {part: hashlib.sha256(stamp.encode()).hexdigest() for part, stamp in stamps.items()}


def _digest(previous: StageRecord, common: dict[str, Any], stage: Stage) -> str:
    """The checksum of what the stage before learned."""
    if not previous.finished:
        raise UserError(
            f"{stage.name} starts from what {stage.follows} learned, and {previous.folder} is not finished. "
            f"Add {stage.follows} to stages."
        )
    previous.require(common)
    return previous.digest()


def _fit(trainer: Trainer, module: UnicornModule, data: UnicornDataModule, record: StageRecord) -> dict[str, float]:
    """Train, from the newest checkpoint if there is one, and keep what was learned."""
    begun = record.checkpoints if checkpoints(record.checkpoints) else None  # the strategy looks for the newest in it
    with warnings.catch_warnings():
        # Lightning 2.6 asks of its loaders in a way that torch 2.13 deprecates.
        warnings.filterwarnings("ignore", r".*isinstance\(treespec, LeafSpec\)", FutureWarning)
        # PyTorch 2.13 has another name for this of DDP, which 2.9 does not know.
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
        # And PyTorch's own FSDP2, as DeepSpeed, calls collectives by names that it deprecates.
        warnings.filterwarnings("ignore", r"`torch\.distributed\.\w+` is deprecated", FutureWarning)
        try:
            trainer.fit(module, datamodule=data, ckpt_path=begun, weights_only=True)
        except SystemExit as error:  # which Lightning makes of it
            raise KeyboardInterrupt from error
        except NotFiniteError as error:
            good = checkpoints(record.checkpoints)
            raise UserError(
                f"{error} {f'Good until {good[-1]}.' if good else 'There is no checkpoint before.'}"
            ) from error
    timer = next(callback for callback in trainer.callbacks if isinstance(callback, Timer))  # pyright: ignore
    learned = {key: number for key, number in module.numbers.items() if key == "loss" or key.startswith("validation/")}
    metrics = learned | {
        "samples": len(data.training),
        "held_out": len(data.held_out),
        "rejected": data.samples.rejected,
        "steps": trainer.global_step,
        "seconds": timer.time_elapsed(),
    }
    if trainer.is_global_zero:
        record.finish(module.learned, metrics)
    saving = next(callback for callback in trainer.callbacks if isinstance(callback, Checkpoints))  # pyright: ignore
    if saving.any_warned(trainer):  # to which the first rank comes once it has written
        raise StoppedError(f"stopped by SIGTERM: {record.folder} is finished.")
    return metrics
