"""Stage 2: a dense caption becomes a conversation of one task. It reads captions and nothing else."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from unicorn.dataset import DatasetWriter, Part
from unicorn.llm import Generator, Request, Result
from unicorn.records import Caption, Instruction, Task
from unicorn.report.progress import progress
from unicorn.synthesis.conversations import conversation
from unicorn.synthesis.keyed import keyed_random
from unicorn.synthesis.parsing import RULES, pairs_schema, read_pairs, validator_of
from unicorn.synthesis.prompt import Prompt
from unicorn.synthesis.request_loop import RequestLoop
from unicorn.synthesis.settings import SynthesisSettings
from unicorn.synthesis.stage import StageReport
from unicorn.synthesis.tasks import task_of


def write_instructions(
    writer: DatasetWriter, generator: Generator, settings: SynthesisSettings, seed: int
) -> StageReport:
    """Write the instructions of all captions; what an earlier run has finished is kept. Raises UserError.

    The same captions, settings and answers make the same bytes, however often the run was killed.
    """
    began = time.monotonic()
    stage = InstructionStage(settings, seed)
    made_by = {
        "generator": generator.name,
        "sampling": generator.made_by,
        "prompts": {task.value: prompt.version for task, prompt in stage.prompts.items()},
        "shares": {task.value: getattr(settings.shares, task.value) for task in Task},
        "instructed": settings.instructed,
        "pairs": [settings.pairs_min, settings.pairs_max],
        "english": settings.english,
        "rules": RULES,
        "max_attempts": settings.max_attempts,
        "seed": seed,
    }
    captions = writer.finished_captions()
    part = writer.instructions(made_by)
    finished = [block for block in captions.blocks if part.finished(block)]
    loop = RequestLoop(part=part, stage=stage, generator=generator, settings=settings, seed=seed)
    with progress("instructions", captions.rows, loop.note) as advance:
        advance(sum(captions.rows_of(block) for block in finished))

        def unfinished() -> Iterator[tuple[int, list[Assignment]]]:
            for block in captions.blocks:
                if not part.finished(block):
                    items = captions.read(block)
                    assigned = [(caption, task_of(caption.id, settings, seed)) for caption in items]
                    assignments = [Assignment(caption, task) for caption, task in assigned if task]
                    advance(len(items) - len(assignments))
                    yield block, assignments

        loop.run(unfinished(), advance)
    part.complete(len(captions.blocks))
    return loop.report(time.monotonic() - began)


@dataclass(frozen=True, slots=True)
class Assignment:
    """A caption and the task that it is given."""

    caption: Caption
    task: Task

    @property
    def id(self) -> str:
        """The caption's."""
        return self.caption.id


class InstructionStage:
    """What is asked about a caption under its task, and the instruction that the answer makes."""

    name = Part.INSTRUCTIONS.value

    def __init__(self, settings: SynthesisSettings, seed: int) -> None:
        self.prompts = {task: Prompt.load(task.value, settings) for task in Task}
        self._schemas = {task: pairs_schema(task, settings) for task in Task}
        self._validators = {task: validator_of(schema) for task, schema in self._schemas.items()}
        self._settings = settings
        self._seed = seed

    def request(self, item: Assignment, seed: int) -> Request:
        """Ask for questions and answers, in JSON under the task's schema."""
        content = orjson.dumps({"id": item.id, "caption": item.caption.text}).decode()
        messages = self.prompts[item.task].messages(content)
        return Request(id=item.id, messages=messages, seed=seed, schema=self._schemas[item.task])

    def read(self, item: Assignment, result: Result) -> Instruction:
        """The conversation; its id is the caption's and the task. Raises Unusable."""
        pairs = read_pairs(result, item.caption.text, self._validators[item.task], self._settings)
        messages = conversation(pairs, keyed_random(self._seed, "options", item.id))
        return Instruction(id=f"{item.id}/{item.task}", caption_id=item.id, task=item.task, messages=messages)
