"""The embedded world's seeds and its generator: one more language model to synthesis, faults and all."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from unicorn.llm import Request
from unicorn.records import Seed, Task
from unicorn.scenes.generator import GrammarGenerator, GrammarSettings
from unicorn.scenes.graph import PartialObject, PartialScene
from unicorn.scenes.reader import read
from unicorn.scenes.seeds import SceneSeedsSettings
from unicorn.synthesis.captions import CaptionStage
from unicorn.synthesis.instructions import Assignment, InstructionStage
from unicorn.synthesis.parsing import Unusable
from unicorn.synthesis.settings import SynthesisSettings

SETTINGS = SynthesisSettings(words_min=12, words_max=120, pairs_min=3, pairs_max=6)
SEEDS = list(SceneSeedsSettings(count=400).build())
CAPTIONS = CaptionStage("grammar", SETTINGS)
INSTRUCTIONS = InstructionStage(SETTINGS, seed=0)
FAULTLESS = GrammarGenerator()


def ask(generator: GrammarGenerator, request: Request) -> str:
    (result,) = generator.generate([request])
    return result.text


def agrees(stated: object, other: object) -> bool:
    return stated is None or other is None or stated == other


def test_seeds_are_a_function_of_their_number() -> None:
    fewer = SceneSeedsSettings(count=50).build()
    assert list(fewer) == SEEDS[:50] == list(fewer)
    assert len({seed.id for seed in SEEDS}) == 400
    assert len({seed.text for seed in SEEDS}) > 350
    others = SceneSeedsSettings(count=50, seed=1).build()
    assert fewer.name != others.name
    assert not {seed.id for seed in SEEDS} & {seed.id for seed in others}


def test_the_domain_of_a_seed_is_what_its_text_tells() -> None:
    domains = Counter(seed.domain for seed in SEEDS)
    assert domains.keys() == {"open", "day", "sketch", "night", "satellite"}
    assert all(read(seed.text).domain == (None if seed.domain == "open" else seed.domain) for seed in SEEDS)


def test_a_dense_caption_keeps_the_facts_of_its_seed_and_adds_more() -> None:
    for seed in SEEDS:
        sparse, dense = read(seed.text), read(ask(FAULTLESS, CAPTIONS.request(seed, 0)))
        for fact in ("count", "background", "texture", "text", "domain"):
            assert agrees(getattr(sparse, fact), getattr(dense, fact)), (seed, fact)
        for item in sparse.objects:
            assert any(all(map(agrees, vars(item).values(), vars(other).values())) for other in dense.objects), seed
        assert known(dense) > known(sparse)


def known(facts: PartialScene | PartialObject) -> int:
    """How many facts are known."""
    own = sum(value is not None for name, value in vars(facts).items() if name != "objects")
    return own + sum(known(item) for item in getattr(facts, "objects", ()))


def test_another_seed_words_the_same_scene_otherwise() -> None:
    first, second = (ask(FAULTLESS, CAPTIONS.request(SEEDS[0], seed)) for seed in (1, 2))
    assert first != second
    assert set(read(first).objects) == set(read(second).objects)


@pytest.mark.parametrize("task", list(Task))
def test_a_faultless_answer_is_usable_where_the_caption_tells_enough(task: Task) -> None:
    reasons: Counter[str] = Counter()
    for seed in SEEDS:
        (result,) = FAULTLESS.generate([CAPTIONS.request(seed, 0)])
        assignment = Assignment(CAPTIONS.read(seed, result), task)
        (result,) = FAULTLESS.generate([INSTRUCTIONS.request(assignment, 0)])
        try:
            messages = INSTRUCTIONS.read(assignment, result).messages
        except Unusable as unusable:
            reasons[unusable.reason.value] += 1
        else:
            assert 6 <= len(messages) <= 12
    assert reasons.keys() <= {"wrong schema"}  # too few questions
    assert reasons.total() / len(SEEDS) < 0.1


def test_faults_come_at_their_rates_and_go_with_another_seed() -> None:
    generator = GrammarSettings(refused=0.1, malformed=0.2).build()
    first, second = ([reason(generator, seed, attempt) for seed in SEEDS] for attempt in (0, 1))
    counts = Counter(first)
    assert counts["refused"] / len(SEEDS) == pytest.approx(0.1, abs=0.05)
    assert counts[None] / len(SEEDS) == pytest.approx(0.7, abs=0.08)
    assert counts["truncated"] > 0
    again = Counter(then for now, then in zip(first, second, strict=True) if now is not None)
    assert again[None] / again.total() == pytest.approx(0.7, abs=0.15)
    assert first == [reason(generator, seed, 0) for seed in SEEDS]


def reason(generator: GrammarGenerator, seed: Seed, attempt: int) -> str | None:
    """Why an answer is unusable, None for a good one."""
    (result,) = generator.generate([CAPTIONS.request(seed, attempt)])
    try:
        CAPTIONS.read(seed, result)
    except Unusable as unusable:
        return unusable.reason.value
    return None


def test_synthesis_of_the_embedded_world_imports_no_image_library(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from unicorn.dataset import DatasetWriter
from unicorn.scenes.generator import GrammarSettings
from unicorn.scenes.seeds import SceneSeedsSettings
from unicorn.synthesis.captions import write_captions
from unicorn.synthesis.instructions import write_instructions
from unicorn.synthesis.settings import SynthesisSettings

settings = SynthesisSettings(words_min=12, pairs_min=3)
with DatasetWriter(Path(sys.argv[1])) as writer:
    write_captions(writer, SceneSeedsSettings(count=60).build(), GrammarSettings().build(), settings, 0)
    write_instructions(writer, GrammarSettings().build(), settings, 0)
import unicorn.synthesis.embeddings
print(*sorted(name for name in ("PIL", "torchvision", "unicorn.scenes.render") if name in sys.modules))
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
