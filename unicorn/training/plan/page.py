"""The plan as tables, and as flat numbers."""

from collections.abc import Mapping, Sequence
from itertools import chain

from rich.table import Table

from unicorn.report.table import Cell, facts_table, numbers_table
from unicorn.training.plan.flops import Flops
from unicorn.training.plan.memory import Case, Memory
from unicorn.training.plan.plan import Plan, StagePlan, StageTime
from unicorn.training.plan.remedy import as_typed

PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
PARTS = ("weights", "gradients", "optimizer", "activations", "logits", "transient")


def plan_tables(plan: Plan) -> list[Table]:
    """What a person reads: the work, its FLOPs, the memory of each stage, the hours."""
    return [
        numbers_table(
            "Work", ["", *(stage.name for stage in plan.stages)], _across([_work(each) for each in plan.stages])
        ),
        *chain.from_iterable((_flops_table(stage), _memory_table(plan, stage)) for stage in plan.stages),
        facts_table(
            f"On {plan.gpus} x {plan.card.name}",
            {stage.name: _verdict(stage) for stage in plan.stages}
            | {"hours in all": sum(stage.time_changed.seconds for stage in plan.stages) / 3600}
            | {f"{stage.name} reads": stage.workload.source for stage in plan.stages},
        ),
    ]


def plan_metrics(plan: Plan) -> dict[str, float]:
    """The numbers of a plan, keys with the stage's name before them; bytes, FLOPs of a step, hours."""
    metrics: dict[str, float] = {}
    for stage in plan.stages:
        executed = sum(stage.time.parts.values(), Flops())
        numbers = {
            "trainable": stage.trainable,
            "frozen": stage.frozen,
            "samples": stage.workload.samples,
            "steps": stage.steps,
            "tokens_per_step": stage.time.step.tokens,
            "supervised_per_step": stage.time.step.supervised,
            "flops/model": stage.time.useful.model,
            "flops/hardware": executed.hardware,
            **{f"flops/{kind}": getattr(executed, kind) for kind in Flops.__slots__},
            "mfu": stage.time.mfu,
            "tokens_per_second": _tokens_per_second(stage, stage.time),
            "hours": stage.time.seconds / 3600,
            **{f"memory/{part}": getattr(_asked(stage), part) for part in (*PARTS, "total", "cpu")},
            **{f"memory/total/{_way(case)}": memory.total for case, memory in stage.memories.items()},
        }
        metrics |= {f"{stage.name}/{key}": value for key, value in numbers.items()}
    return metrics | {"hours": sum(stage.time.seconds for stage in plan.stages) / 3600}


def _work(stage: StagePlan) -> dict[str, Cell]:
    step = stage.time.step
    return {
        "trainable parameters": stage.trainable,
        "frozen parameters": stage.frozen,
        "samples an epoch": stage.workload.samples,
        "tokens an epoch": round(step.tokens / step.images * stage.workload.samples),
        "steps": stage.steps,
        "tokens a step": round(step.tokens),
        "of these supervised": round(step.supervised),
        "padding": f"{1 - step.tokens / step.slots:.1%}",
        "packs a step and device": f"{step.packs:.1f}",
    }


def _flops_table(stage: StagePlan) -> Table:
    useful, step = stage.time.useful, stage.time.step
    executed = sum(stage.time.parts.values(), Flops())
    counted = {
        "forward": useful.forward,
        "backward, to inputs": useful.to_inputs,
        "backward, to trained weights": useful.to_weights,
        "model FLOPs": useful.model,
        "padding and masked attention": executed.model - useful.model,
        "computed again": executed.again,
        "hardware FLOPs": executed.hardware,
        **{f"  of these {part}": flops.hardware for part, flops in stage.time.parts.items()},
    }
    times = {"a token": 1 / step.tokens, "a step": 1, "an epoch": stage.workload.samples / step.images}
    rows = [[name, *(_prefixed(value * each) for each in times.values())] for name, value in counted.items()]
    return numbers_table(f"FLOPs of {stage.name}, over all devices", ["", *times], rows)


def _memory_table(plan: Plan, stage: StagePlan) -> Table:
    rows: list[list[Cell]] = []
    for number, (case, memory) in enumerate(stage.memories.items()):
        parts = [_gigabytes(getattr(memory, part)) for part in (*PARTS, "total", "cpu")]
        over = memory.total - plan.capacity
        fits = "fits" if over <= 0 else f"{_gigabytes(over)} over"
        rows.append([f"{_way(case)}{'' if number else ' *'}", *parts, fits])
    title = f"Memory of {stage.name}, GB on each of {plan.gpus} with {_gigabytes(plan.capacity)} to use (* asked for)"
    return numbers_table(title, ["", *PARTS, "total", "on CPU", ""], rows)


def _verdict(stage: StagePlan) -> str:
    if stage.change == {}:
        return f"fits; {_pace(stage, stage.time)}"
    total = _gigabytes(_asked(stage).total)
    if stage.change is None:
        return f"does not fit: {total} GB, and too much with every option known here"
    return f"does not fit: {total} GB. With {as_typed(stage.change)} it does; {_pace(stage, stage.time_changed)}"


def _pace(stage: StagePlan, time: StageTime) -> str:
    speed = _tokens_per_second(stage, time)
    return f"{time.seconds / 3600:.2f} hours at {speed:,.0f} tokens a second, {time.mfu:.0%} model FLOPs utilisation"


def _asked(stage: StagePlan) -> Memory:
    return next(iter(stage.memories.values()))


def _way(case: Case) -> str:
    return f"{case.strategy.value}{'_offload' if case.offload else ''}"


def _tokens_per_second(stage: StagePlan, time: StageTime) -> float:
    return time.step.tokens * stage.steps / time.seconds


def _across(columns: Sequence[Mapping[str, Cell]]) -> list[list[Cell]]:
    """Columns of named cells as rows."""
    return [[name, *(column[name] for column in columns)] for name in columns[0]]


def _prefixed(value: float) -> str:
    """1.23e12 as 1.23 T."""
    for size, prefix in PREFIXES:
        if value >= size:
            return f"{value / size:.3g} {prefix}"
    return f"{value:.3g}"


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.3g}"
