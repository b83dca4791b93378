"""A stage's samples, tokenised once and memory-mapped, so that all lengths are known from the start."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import pyarrow as pa
from datasets import Dataset
from jaxtyping import Bool, Int32, Int64

from unicorn.data.chat_template import Unfit
from unicorn.data.conversation import ConversationTokenizer, Sample
from unicorn.dataset.reader import UnicornDataset
from unicorn.errors import UserError
from unicorn.files import replacing
from unicorn.records import Reject
from unicorn.stamp import check_stamps, read_sealed, stamps_of, write_sealed

Item = TypeVar("Item")

CHUNK = 1024
REJECTS = "rejects.jsonl"
SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "caption_id": pa.string(),
        "length": pa.int32(),
        "answer_length": pa.int32(),
        "input_ids": pa.list_(pa.int32()),
        "supervised": pa.list_(pa.bool_()),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionedSample:
    """A sample or why there is none, the record it was made of, and the caption whose image it is about."""

    id: str
    caption_id: str
    sample: Sample | Unfit


def caption_samples(dataset: UnicornDataset, tokenizer: ConversationTokenizer) -> Iterator[CaptionedSample]:
    """Every caption in the plain form, in row order."""
    for captions in _chunks(dataset.captions()):
        samples = tokenizer.captions([caption.text for caption in captions])
        for caption, sample in zip(captions, samples, strict=True):
            yield CaptionedSample(id=caption.id, caption_id=caption.id, sample=sample)


def instruction_samples(dataset: UnicornDataset, tokenizer: ConversationTokenizer) -> Iterator[CaptionedSample]:
    """Every instruction as a conversation, in the order of their captions."""
    for instructions in _chunks(dataset.instructions()):
        samples = tokenizer.conversations([instruction.messages for instruction in instructions])
        for instruction, sample in zip(instructions, samples, strict=True):
            yield CaptionedSample(id=instruction.id, caption_id=instruction.caption_id, sample=sample)


def write_samples(
    path: Path, samples: Iterable[CaptionedSample], *, row_length: int, placeholders: tuple[int, int]
) -> None:
    """Write the samples that fit as an Arrow stream, and why the others do not to `rejects.jsonl` beside it.

    `placeholders` is the image token's id and how many of it a sample holds. Both files are there whole or
    not at all, and `samples.json` after them, with their stamps.
    """
    rejects: list[str] = []
    with (
        replacing(path) as arrow,
        pa.OSFile(str(arrow), "wb") as sink,
        pa.ipc.new_stream(sink, SCHEMA) as stream,
    ):
        for chunk in _chunks(samples):
            kept: list[dict[str, Any]] = []
            for item in chunk:
                try:
                    kept.append(_record(item, _checked(item.sample, row_length, placeholders)))
                except Unfit as unfit:
                    reject = Reject(id=item.id, stage=path.parent.name, reason=str(unfit), attempts=1, answer="")
                    rejects.append(json.dumps(asdict(reject)) + "\n")
            stream.write_batch(pa.RecordBatch.from_pylist(kept, SCHEMA))
    with replacing(path.with_name(REJECTS)) as temporary:
        temporary.write_text("".join(rejects))
    write_sealed(stamps_path(path), stamps_of(path.parent, [path.name, REJECTS]))


def stamps_path(path: Path) -> Path:
    """Where the stamps of samples lie."""
    return path.with_suffix(".json")


def check_samples(path: Path) -> None:
    """Raises UserError, naming the file, if what `write_samples` wrote is not as it was."""
    stamps = stamps_path(path)
    remedy = f"Delete {stamps} to have the samples made again."
    check_stamps(path.parent, read_sealed(stamps, remedy), remedy)


def _checked(sample: Sample | Unfit, row_length: int, placeholders: tuple[int, int]) -> Sample:
    """The sample. Raises Unfit if it cannot be trained on."""
    token, count = placeholders
    if isinstance(sample, Unfit):
        raise sample
    if len(sample.input_ids) > row_length:
        raise Unfit(f"{len(sample.input_ids)} tokens, more than data.row_length={row_length}")
    if (found := int((sample.input_ids == token).sum())) != count:
        raise Unfit(f"{found} image tokens where {count} belong")
    if not sample.supervised.any():
        raise Unfit("no answer to learn from")
    return sample


def _record(item: CaptionedSample, sample: Sample) -> dict[str, Any]:
    return {
        "id": item.id,
        "caption_id": item.caption_id,
        "length": len(sample.input_ids),
        "answer_length": int(sample.supervised.sum()),
        "input_ids": sample.input_ids,
        "supervised": sample.supervised,
    }


class Samples:
    """The memory-mapped samples of a stage: what is needed to plan is in memory, the tokens are not."""

    def __init__(self, path: Path, dataset: UnicornDataset) -> None:
        """Map `path`, and find each sample's caption in `dataset`. Raises UserError if no sample is there."""
        with path.with_name(REJECTS).open() as file:
            reasons = [json.loads(line)["reason"] for line in file]
        self.rejected = len(reasons)
        self._table = Dataset.from_file(str(path)).with_format("arrow")
        if not len(self._table):
            first = f", which begins with: {reasons[0]}" if reasons else ""
            raise UserError(f"no sample of {dataset.path} can be trained on: see {path.with_name(REJECTS)}{first}.")
        plan = self._table.select_columns(["caption_id", "length", "answer_length"])[:]
        self.rows: Int64[np.ndarray, " n"] = dataset.rows(plan["caption_id"].combine_chunks())
        self.lengths: Int32[np.ndarray, " n"] = plan["length"].to_numpy()
        self.answer_lengths: Int32[np.ndarray, " n"] = plan["answer_length"].to_numpy()

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._table)

    def ids(self, samples: Int64[np.ndarray, " n"]) -> list[str]:
        """The ids of the records that samples were made of."""
        return cast("pa.Table", self._table[samples.tolist()])["id"].to_pylist()

    def tokens(self, samples: Int64[np.ndarray, " n"]) -> list[tuple[Int32[np.ndarray, " t"], Bool[np.ndarray, " t"]]]:
        """Token ids and supervision of samples."""
        table = cast("pa.Table", self._table[samples.tolist()])
        ids = table["input_ids"].combine_chunks()
        supervised = table["supervised"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        ends = np.cumsum(self.lengths[samples])[:-1]
        return list(zip(np.split(ids.flatten().to_numpy(), ends), np.split(supervised, ends), strict=True))


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
