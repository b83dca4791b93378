"""A small dataset, written as the stages of synthesis write theirs: resumable, block by block.

python example.py FOLDER        write it, printing a line when the imports are over
"""

import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import numpy as np

from unicorn.dataset import DatasetWriter, Embeddings
from unicorn.records import Caption, Instruction, Message, Reject, Role, Task

BLOCK_SIZE, BLOCKS, DIMENSION = 40, 3, 8
SPACE = "example/8"
DOMAINS = ("open", "day", "night")


def made_by(stage: str) -> dict[str, object]:
    return {"stage": stage, "prompt": {"version": "v1", "words": [51, 483]}}


def caption(number: int) -> Caption:
    return Caption(
        id=f"scene/{number:04d}",
        text=f"A picture of {number} “things”.\nIn two lines.",
        domain=DOMAINS[number % 3],
        generator="example",
        prompt_version="v1",
    )


def captions(block: int) -> list[Caption]:
    """The last block is half full, and every tenth seed was rejected."""
    stop = (block + 1) * BLOCK_SIZE - (BLOCK_SIZE // 2 if block == BLOCKS - 1 else 0)
    return [caption(number) for number in range(block * BLOCK_SIZE, stop) if number % 10]


def rejects(block: int) -> list[Reject]:
    numbers = [block * BLOCK_SIZE, block * BLOCK_SIZE + 10]
    return [Reject(id=f"scene/{n:04d}", stage="captions", reason="refused", attempts=3, answer="No.") for n in numbers]


def instruction(caption: Caption) -> Instruction:
    return Instruction(
        id=f"{caption.id}#0",
        caption_id=caption.id,
        task=Task.QUESTION_ANSWERING,
        messages=(
            Message(role=Role.USER, content="How many?"),
            Message(role=Role.ASSISTANT, content=caption.id[-4:]),
        ),
    )


def vectors(block: int) -> np.ndarray:
    generator = np.random.default_rng(block)
    values = generator.standard_normal((len(captions(block)), DIMENSION)) + 0.5
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float16)


def write_captions(writer: DatasetWriter) -> None:
    part = writer.captions(made_by("captions"))
    for block in range(BLOCKS):
        if part.finished(block):
            continue
        with closing(part.journal(block)) as journal:
            records = [Caption(**record) for record in journal.records]
            todo = captions(block)[len(records) :]
            for start in range(0, len(todo), 8):
                journal.append([asdict(caption) for caption in todo[start : start + 8]])
            part.write(block, records + todo, rejects(block))
    part.complete(BLOCKS)


def write_instructions(writer: DatasetWriter) -> None:
    source, part = writer.finished_captions(), writer.instructions(made_by("instructions"))
    for block in source.blocks:
        if not part.finished(block):
            part.write(block, [instruction(caption) for caption in source.read(block)])
    part.complete(BLOCKS)


def write_embeddings(writer: DatasetWriter) -> None:
    source, part = writer.finished_captions(), writer.embeddings(SPACE, made_by("embeddings"))
    for block in source.blocks:
        if not part.finished(block):
            ids = [caption.id for caption in source.read(block)]
            part.write(block, Embeddings(ids=ids, vectors=vectors(block)))
    part.complete(BLOCKS)


def write(folder: Path) -> None:
    with DatasetWriter(folder, BLOCK_SIZE) as writer:
        write_captions(writer)
        write_instructions(writer)
        write_embeddings(writer)


def all_captions() -> list[Caption]:
    return [caption for block in range(BLOCKS) for caption in captions(block)]


def all_vectors() -> np.ndarray:
    return np.concatenate([vectors(block) for block in range(BLOCKS)])


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by its relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


if __name__ == "__main__":
    print("ready", flush=True)
    write(Path(sys.argv[1]))
