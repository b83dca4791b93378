"""The encoding of captions beside a plain loop and beside sentence-transformers: part of `make bench`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import orjson
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from transformers import BertModel, PreTrainedTokenizerFast
from transformers.utils import logging

from bench.encoding_ways import (
    CONTEXT,
    PLAIN_BATCH,
    BertTower,
    generate_captions,
    plain,
    save_model,
    sentence_transformer,
)
from bench.figures import circumstances
from bench.page import duration, machine_line, times
from bench.process import fresh, most_anonymous_bytes
from unicorn.dataset import DatasetWriter
from unicorn.files import replacing
from unicorn.report.table import markdown_table, numbers_table, show
from unicorn.synthesis.embeddings import encode, write_embeddings
from unicorn.synthesis.settings import SynthesisSettings

ROUNDS = 3

PAGE = """\
# The encoding of captions, measured

`python -m bench.encoding` (`make bench` runs it too) writes this page and
[encoding.json](../bench/results/encoding.json): the same generated captions through the same model, three ways in turn.

{machine}

| way | seconds | captions/s | tokens computed for one that is read | Unicorn's speed |
| --- | ---: | ---: | ---: | ---: |
{rows}

{memory}

- The model: BERT of MiniLM's shape (6 layers, 384 wide) with random weights, {parameters:.0f}M parameters, in float32
  on {threads} threads; mean over tokens, unit norm. Captions: {captions:,} of {words} words on average, log-normal
  between 40 and 500, as dense captions are; one word is one token.
- Plain loop: {batch} captions at a time as they come, padded to the longest. sentence-transformers {version}: its own
  `encode` of all captions, with its own batch size of {batch}, which sorts by length. Unicorn: `encode` of the stage
  `embeddings`, a block of captions sorted by length, {window} at a time, in batches of {budget:,} tokens at most.
- Seconds are the median of {rounds} rounds, in each of which the three take turns. All make the same vectors: they
  differ by {difference:.0e} at most.
- Memory: the most that a fresh process has of its own (no file backs it) in the stage `embeddings`, imports included,
  looked at five times a second; the tower costs nothing.
"""


@dataclass(kw_only=True)
class EncodingSettings:
    """What is measured, and where it goes."""

    captions: int = 768
    tokens_per_batch: int = 4096
    memory_rows: tuple[int, int] = (32_768, 131_072)
    results: Path = Path("bench/results/encoding.json")
    page: Path = Path("docs/encoding.md")


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way of encoding: what it took, and the tokens it computed for each that is a caption's."""

    name: str
    seconds: float
    tokens: float


def measure(settings: EncodingSettings, folder: Path) -> tuple[list[Way], float, float, float]:
    """The three ways; the largest difference of any two; parameters; words of a caption."""
    save_model(folder)
    model = BertModel.from_pretrained(folder).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    library = sentence_transformer(folder)
    tower = BertTower(model, tokenizer, settings.tokens_per_batch)
    captions = generate_captions(settings.captions)
    texts = [caption.text for caption in captions]
    window = SynthesisSettings().encode_batch
    ways: dict[str, Callable[[], Float32[np.ndarray, "n d"]]] = {
        "plain loop": lambda: plain(model, tokenizer, texts),
        "sentence-transformers": lambda: library.encode(texts, batch_size=PLAIN_BATCH, show_progress_bar=False),
        "Unicorn": lambda: encode(captions, tower, model.config.hidden_size, window, lambda _: None),
    }
    computed = [0]
    embeddings = [*model.modules(), *library.modules()]
    hooks = [
        module.register_forward_pre_hook(_counter(computed))
        for module in embeddings
        if isinstance(module, nn.Embedding) and module.num_embeddings == len(tokenizer)
    ]
    vectors, tokens = dict[str, Float32[np.ndarray, "n d"]](), dict[str, int]()
    for name, way in ways.items():  # once without the clock
        computed[0] = 0
        vectors[name], tokens[name] = way(), computed[0]
    for hook in hooks:
        hook.remove()
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = perf_counter()
            way()
            taken[name].append(perf_counter() - start)
    words = sum(len(text.split()) for text in texts)
    difference = max(float(np.abs(made - vectors["Unicorn"]).max()) for made in vectors.values())
    return (
        [Way(name=name, seconds=median(taken[name]), tokens=tokens[name] / words) for name in ways],
        difference,
        sum(parameter.numel() for parameter in model.parameters()) / 1e6,
        words / len(texts),
    )


def _counter(computed: list[int]) -> Callable[[Any, tuple[Tensor, ...]], None]:
    def count(_: Any, arguments: tuple[Tensor, ...]) -> None:
        computed[0] += arguments[0].numel()

    return count


class FreeEncoder:
    """An encoder whose tower costs nothing, to see what the stage itself holds."""

    space = "free"
    dimension = 1280
    context = CONTEXT
    cut = 0

    @property
    def made_by(self) -> dict[str, Any]:
        """Its dimension."""
        return {"dimension": self.dimension}

    def require(self) -> None:
        """It is always to be had."""

    def text_tower(self) -> "FreeEncoder":
        """Itself."""
        return self

    def image_tower(self) -> Any:
        """None is asked for."""
        raise NotImplementedError

    def encode(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Unit vectors, all the same."""
        return torch.full((len(texts), self.dimension), self.dimension**-0.5)


def memory(rows: int) -> int:
    """The most anonymous bytes of this process while the stage `embeddings` encodes so many captions."""
    with TemporaryDirectory() as folder, DatasetWriter(folder) as writer:
        captions = writer.captions({"generator": "generated"})
        for block in range(rows // writer.block_size):
            captions.write(block, generate_captions(writer.block_size, block * writer.block_size))
        captions.complete(rows // writer.block_size)
        with most_anonymous_bytes() as most:
            write_embeddings(writer, FreeEncoder(), SynthesisSettings())
        return most[0]


def bench(settings: EncodingSettings) -> list[Way]:
    """Measure all; write results and page, and show them."""
    at: dict[str, Any] = circumstances(
        "python -m " + " ".join(["bench.encoding", *sys.argv[1:]]), ("sentence-transformers",)
    )
    held = [fresh(memory, rows) for rows in settings.memory_rows]
    with TemporaryDirectory() as folder:
        ways, difference, parameters, words = measure(settings, Path(folder))
    ours = next(way for way in ways if way.name == "Unicorn")
    rows = [
        (way.name, duration(way.seconds), f"{settings.captions / way.seconds:.1f}", f"{way.tokens:.2f}", ratio)
        for way in ways
        for ratio in [times(way.seconds / ours.seconds) if way is not ours else ""]
    ]
    few, many = (f"{count / 1e6:.0f} MB" for count in held)
    told = f"Memory: {few} at most over {settings.memory_rows[0]:,} captions, {many} over {settings.memory_rows[1]:,}."
    columns = ("way", "seconds", "captions/s", "computed", "Unicorn's speed")
    show(numbers_table("Encoding", columns, rows))
    with replacing(settings.results) as temporary:
        content = {
            **at,
            "difference": difference,
            "ways": list(map(asdict, ways)),
            "memory_bytes_by_rows": dict(zip(settings.memory_rows, held, strict=True)),
        }
        options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
        temporary.write_bytes(orjson.dumps(content, option=options) + b"\n")
    page = PAGE.format(
        machine=machine_line(at),
        rows=markdown_table(columns, rows).split("\n", 2)[2].strip(),
        memory=told,
        parameters=parameters,
        threads=torch.get_num_threads(),
        captions=settings.captions,
        words=round(words),
        batch=PLAIN_BATCH,
        version=at["versions"]["sentence-transformers"],
        window=SynthesisSettings().encode_batch,
        budget=settings.tokens_per_batch,
        rounds=ROUNDS,
        difference=difference,
    )
    with replacing(settings.page) as temporary:
        temporary.write_text(page)
    return ways


def main() -> None:
    """`python -m bench.encoding`."""
    defaults = EncodingSettings()
    parser = argparse.ArgumentParser(prog="python -m bench.encoding", description=__doc__)
    parser.add_argument("--captions", type=int, default=defaults.captions)
    parser.add_argument("--tokens_per_batch", type=int, default=defaults.tokens_per_batch)
    parser.add_argument("--results", type=Path, default=defaults.results, help="the JSON")
    parser.add_argument("--page", type=Path, default=defaults.page, help="the table")
    logging.disable_progress_bar()
    bench(EncodingSettings(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
