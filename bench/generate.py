"""Generated rows of real shape, the same for both ways: captions, unit vectors about a common mean, token ids."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int32, Int64

from bench import published
from unicorn.data.conversation import Sample
from unicorn.data.samples import CaptionedSample, write_samples
from unicorn.dataset import DatasetWriter, Embeddings
from unicorn.records import Caption

ROW_LENGTH = 2048
IMAGE_TOKEN = 1
VISUAL_TOKENS = 1
FIRST_WORD_TOKEN, VOCABULARY = 10, 32000


@dataclass(frozen=True, kw_only=True)
class Generator:
    """The rows of one size; each is a function of the seed and its number."""

    rows: int
    dimension: int = 1280
    tokens: int = 180
    """Tokens of a sample on average."""
    characters: int = 700
    """Characters of a caption."""
    block_size: int = 16384
    seed: int = 0

    def blocks(self) -> Iterator[range]:
        """The rows, block by block."""
        for start in range(0, self.rows, self.block_size):
            yield range(start, min(start + self.block_size, self.rows))

    def vectors(self, block: range) -> Float32[np.ndarray, "n d"]:
        """Unit vectors whose common mean has about half of their squared length, as those of text towers do."""
        centre = np.random.default_rng(self.seed).standard_normal(self.dimension, np.float32)
        noise = np.random.default_rng([self.seed, block.start]).standard_normal(
            (len(block), self.dimension), np.float32
        )
        noise += centre
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        return noise

    def captions(self, block: range) -> list[Caption]:
        """Words cut out of one generated text."""
        random = np.random.default_rng(self.seed)
        words = ["".join(random.choice(list("aeioulnrstdm"), size)) for size in random.integers(2, 9, 2000)]
        text = " ".join(random.choice(words, 50_000))
        starts = random.integers(0, len(text) - self.characters, self.rows)[block.start : block.stop]
        return [
            Caption(
                id=caption_id(row),
                text=text[start : start + self.characters],
                domain="open",
                generator="generated",
                prompt_version="1",
            )
            for row, start in zip(block, starts.tolist(), strict=True)
        ]

    def token_ids(self) -> "TokenIds":
        """Token ids of every row's sample, cut out of one text too."""
        random = np.random.default_rng(self.seed)
        lengths = random.normal(self.tokens, self.tokens / 4, self.rows).clip(self.tokens // 4, self.tokens * 4)
        text = random.integers(FIRST_WORD_TOKEN, VOCABULARY, 1 << 20, np.int32)
        starts = random.integers(0, len(text) - self.tokens * 4, self.rows)
        return TokenIds(text=text, starts=starts, lengths=lengths.astype(np.int64))


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenIds:
    """The token ids of all samples, by row."""

    text: Int32[np.ndarray, " words"]
    starts: Int64[np.ndarray, " rows"]
    lengths: Int64[np.ndarray, " rows"]

    def __call__(self, row: int) -> Int32[np.ndarray, " length"]:
        """The image, then the words of its caption."""
        words = self.text[self.starts[row] : self.starts[row] + self.lengths[row] - VISUAL_TOKENS]
        return np.concatenate([np.full(VISUAL_TOKENS, IMAGE_TOKEN, np.int32), words])


def caption_id(row: int) -> str:
    """The id of a row."""
    return f"generated-{row:08d}"


def write_dataset(folder: Path, generator: Generator) -> None:
    """Unicorn's form, through its writer."""
    blocks = ceil(generator.rows / generator.block_size)
    with DatasetWriter(folder, generator.block_size) as writer:
        captions = writer.captions({"generator": "generated"})
        for number, block in enumerate(generator.blocks()):
            captions.write(number, generator.captions(block))
        captions.complete(blocks)
        embeddings = writer.embeddings("generated", {"seed": generator.seed})
        for number, block in enumerate(generator.blocks()):
            ids = [caption_id(row) for row in block]
            embeddings.write(number, Embeddings(ids=ids, vectors=generator.vectors(block)))
        embeddings.complete(blocks)


def write_tokens(path: Path, generator: Generator) -> None:
    """The samples of the stream: one to a caption, its token ids ready, all but the image supervised."""
    tokens = generator.token_ids()
    samples = (
        CaptionedSample(
            id=caption_id(row),
            caption_id=caption_id(row),
            sample=Sample(input_ids=tokens(row), supervised=np.arange(tokens.lengths[row]) >= VISUAL_TOKENS),
        )
        for row in range(generator.rows)
    )
    write_samples(path, samples, row_length=ROW_LENGTH, placeholders=(IMAGE_TOKEN, VISUAL_TOKENS))


def write_published(folder: Path, generator: Generator) -> None:
    """The published form: one pickle of all embeddings, and a shifted one."""
    folder.mkdir(parents=True, exist_ok=True)
    items: list[published.Item] = [
        {"id": caption_id(row), "embed": vector.copy()}
        for block in generator.blocks()
        for row, vector in zip(block, generator.vectors(block), strict=True)
    ]
    published.save(folder / "raw.pickle", items)
    published.save(folder / "shifted.pickle", published.shifted(items, published.mean(items)))
