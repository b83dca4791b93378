"""A tiny language model, its tokenizer, and a dataset of captions about coloured things."""

import itertools
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_only
from safetensors.torch import load_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from unicorn.data.settings import DataSettings
from unicorn.dataset import DatasetWriter, Embeddings, UnicornDataset
from unicorn.model.modeling import UnicornForConditionalGeneration
from unicorn.model.settings import ModelSettings
from unicorn.records import Caption, Instruction, Message, Role, Task
from unicorn.training.align import AlignSettings
from unicorn.training.csv_logger import Row, read_table
from unicorn.training.logger import CsvSettings
from unicorn.training.preflight import require
from unicorn.training.run import run_stage, trained
from unicorn.training.trainer import TrainerSettings
from unicorn.training.tune import FullTuneSettings, LoraTuneSettings, TuneSettings
from unicorn.training.validation_settings import ValidationSettings
from unicorn.transfer import Transfer
from unicorn.transfer.c3 import C3Settings

COLOURS = ("red", "green", "blue", "black")
THINGS = ("cube", "ball", "cone", "ring")
WORDS = ("a", "the", "is", "what", "colour", "thing", "?", ".", "and", "it", "picture", "shows", *COLOURS, *THINGS)
SPECIAL = ("<unk>", "<bos>", "<eos>", "<pad>", "<user>", "<assistant>", "<end>")
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "<assistant> {% generation %}{{ message['content'] }} <end> {% endgeneration %}"
    "{% else %}<user> {{ message['content'] }} <end> {% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}"
)
DIMENSION = 8


def tiny_tokenizer(**special: Any) -> PreTrainedTokenizerFast:
    """One token a word; as language models' tokenizers, it knows no image token unless told."""
    words = {word: number for number, word in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        chat_template=TEMPLATE,
        **special,
    )


def tiny_language_model(tied: bool = True) -> LlamaForCausalLM:
    """Two layers of random weights, large enough that a leak would show."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(SPECIAL) + len(WORDS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.2,
        tie_word_embeddings=tied,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=3,
    )
    return LlamaForCausalLM(config)


def save_language_model(folder: Path, tied: bool = True) -> str:
    """A checkpoint folder as the Hub has them."""
    tiny_language_model(tied).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return str(folder)


def read_rows(path: Path) -> dict[int, Row]:
    """A table of one row for each step."""
    return {step: row for step, (row,) in read_table(path).items()}


def make_dataset(folder: Path, count: int = 64, seed: int = 0) -> UnicornDataset:
    """Captions of one to three things, one conversation each, vectors that say what is in the picture."""
    draw = random.Random(seed)
    kinds = list(itertools.product(COLOURS, THINGS))
    scenes = [draw.choices(kinds, k=draw.randint(1, 3)) for _ in range(count)]
    directions = np.random.default_rng(seed).normal(size=(len(kinds), DIMENSION))
    captions = [
        Caption(
            id=f"n{number:02d}",
            text="the picture shows " + " and ".join(f"a {colour} {thing}" for colour, thing in scene) + " .",
            domain="open",
            generator="test",
            prompt_version="1",
        )
        for number, scene in enumerate(scenes)
    ]
    instructions = [
        Instruction(
            id=f"i{caption.id}",
            caption_id=caption.id,
            task=Task.QUESTION_ANSWERING,
            messages=tuple(
                message
                for colour, thing in scene
                for message in (
                    Message(role=Role.USER, content=f"what colour is the {thing} ?"),
                    Message(role=Role.ASSISTANT, content=f"it is {colour} ."),
                )
            ),
        )
        for caption, scene in zip(captions, scenes, strict=True)
    ]
    vectors = np.stack([sum(directions[kinds.index(kind)] for kind in scene) for scene in scenes])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with DatasetWriter(folder, block_size=count) as writer:
        parts = writer.captions({}), writer.instructions({}), writer.embeddings("tiny", {})
        parts[0].write(0, captions, [])
        parts[0].complete(1)
        parts[1].write(0, instructions, [])
        parts[1].complete(1)
        parts[2].write(0, Embeddings(ids=[caption.id for caption in captions], vectors=vectors), [])
        parts[2].complete(1)
    return UnicornDataset.open(folder)


class Training:
    """Everything that a stage is run with, over one dataset and one language model."""

    model_settings: ClassVar[dict[str, Any]] = {}

    def __init__(self, folder: Path) -> None:
        """What `folder` holds; an empty one is filled."""
        self.folder = folder
        self.language_model = str(folder / "language_model")
        if not (folder / "dataset").exists():
            save_language_model(folder / "language_model")
            make_dataset(folder / "dataset")
        self.dataset = UnicornDataset.open(folder / "dataset")
        self.validation = ValidationSettings(gallery=0, generations=0)
        self.transfer: Transfer = C3Settings().fit(self.dataset.statistics, self.dataset.chunks())

    def model(self, **settings: Any) -> tuple[UnicornForConditionalGeneration, PreTrainedTokenizerFast]:
        """A model with a new projector, always the same."""
        torch.manual_seed(0)
        return self.build(**settings)

    def build(self, **settings: Any) -> tuple[UnicornForConditionalGeneration, PreTrainedTokenizerFast]:
        """A model whose projector is drawn from torch's seed."""
        return self.settings(**settings).build(DIMENSION)

    def settings(self, **settings: Any) -> ModelSettings:
        """Of the model."""
        return ModelSettings(language_model=self.language_model, **self.model_settings | settings)

    def run(self, name: str, *stages: AlignSettings | TuneSettings, **changes: Any) -> dict[str, float]:
        """The numbers of stages run one after the other in the run `name`."""
        given: dict[str, Any] = {
            "build": self.build,
            "tokenizer": self.settings().tokenizer(),
            "dataset": self.dataset,
            "transfer": self.transfer,
            "data": DataSettings(row_length=64, rows_per_pack=1),
            "trainer": TrainerSettings(accelerator="cpu", checkpoint_every=3),
            "logger": CsvSettings(),
            "validation": self.validation,
            "run": self.folder / name,
            "seed": 0,
            "made_by": {"model": "tiny"},
        }
        given |= changes
        built = [stage.build() for stage in stages]
        require(built, model=self.settings(), **{key: given[key] for key in ("tokenizer", "dataset", "trainer")})
        metrics: dict[str, float] = {}
        for stage in built:
            metrics |= run_stage(stage, **given)
        if not getattr(rank_zero_only, "rank", 0):
            self.trained = trained(built, **{key: given[key] for key in ("build", "run", "seed")})
        return metrics

    def losses(self, name: str, stage: str) -> dict[int, str]:
        """The logged losses of every step, in training and, at an epoch's end, in validation."""
        rows = read_rows(self.folder / name / stage / "metrics.csv")
        keys = ("loss", "validation/loss", "validation/loss_shuffled", "validation/retrieval")
        return {step: " ".join(row.get(key, "") for key in keys) for step, row in rows.items()}

    def generations(self, name: str, stage: str) -> str:
        """What the model said as it was trained."""
        return (self.folder / name / stage / "generations.csv").read_text()

    def weights(self, name: str, stage: str) -> dict[str, torch.Tensor]:
        """What a stage learned."""
        return load_file(self.folder / name / stage / "weights.safetensors")


class Dies:
    """A transfer under which the run ends when it is asked for the `call`-th time."""

    def __init__(self, transfer: Transfer, call: int, how: Callable[[], None]) -> None:
        self.transfer = transfer
        self.left = call
        self.how = how
        self.before = 0.0  # seconds that each call takes

    def text(self, *arguments: Any) -> Any:
        """The transfer's own, until it is too late."""
        self.left -= 1
        time.sleep(self.before)
        if self.left == 0:
            self.how()
        return self.transfer.text(*arguments)


LOOKS = ValidationSettings(every=3, gallery=2, generations=2, max_new_tokens=2)
ALIGN = AlignSettings(batch=16, learning_rate=5e-3, epochs=2)
LORA = LoraTuneSettings(batch=16, learning_rate=5e-3, epochs=2, rank=4, alpha=8, dropout=0.1)
FULL = FullTuneSettings(batch=16, learning_rate=1e-3, epochs=1)
