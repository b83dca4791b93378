"""Ask a trained model about real images: image tower -> shift -> answers, scores, figures."""

from dataclasses import replace
from functools import cache
from pathlib import Path

from unicorn import command
from unicorn.config import Config, document, load_config, plain, save_config
from unicorn.errors import UserError


def evaluate(config: Config) -> None:
    """Ask a trained model about real images: image tower -> shift -> answers, scores, figures.

    run=outputs/NAME names the run; task=scenes or a list of tasks; model, encoder and transfer are the run's.
    With run=null vectors are studied and no model is asked; out= is to be named then, and encoder= where the vectors
    are not the embedded world's.
    """
    from unicorn.evaluation.answering import ModelAnswerer
    from unicorn.evaluation.benchmark import run_benchmark
    from unicorn.evaluation.page import closing_tables, evaluation_report
    from unicorn.evaluation.pictures import encode_chunks, encode_pairs
    from unicorn.evaluation.rejected import write_rejected
    from unicorn.evaluation.run import MODEL, Run
    from unicorn.evaluation.task import (
        Analysis,
        Benchmark,
        FileStudy,
        Findings,
        Pairs,
        PictureStudy,
        Task,
        TowerStudy,
        merge_metrics,
    )
    from unicorn.hub.picture_encoder import calibrate
    from unicorn.hub.processor import VISION
    from unicorn.pictures import Sifting
    from unicorn.report.metrics import METRICS, write_metrics
    from unicorn.report.table import show

    settings = config.evaluation
    tasks: dict[str, Task] = {name: chosen.build() for name, chosen in config.tasks.items()}
    of_files = all(isinstance(task, FileStudy) for task in tasks.values())
    run = None if of_files or config.run is None else Run.open(config.run_folder)
    trained = load_config(run.path / "config.yaml") if run else config
    if run:
        run.require_encoder(trained.encoder)
    elif config.out is None:
        raise UserError("no run is asked, in which this would be written. Set out= to a folder.")
    out = Path(config.out or f"{config.run}/evaluation")
    pictures = config.pictures.build()
    image_tower = cache(trained.encoder.image_tower)  # loaded once, and only where it is asked for

    @cache
    def pairs() -> Pairs:  # encoded once likewise, and the text tower is let go
        return encode_pairs(pictures.pictures(), image_tower(), trained.encoder.text_tower())

    findings: dict[str, Findings] = {}
    for name, task in tasks.items():
        match task:
            case FileStudy():
                findings[name] = task.findings(config.transfer)
            case PictureStudy():
                chunks = encode_chunks(pictures.pictures(), image_tower())
                findings[name] = task.observe(trained.encoder.space, chunks)
            case TowerStudy():
                findings[name] = task.study(trained.encoder.space, pairs(), pictures, image_tower())
            case Analysis():
                findings[name] = task.run(pairs(), run.transfer if run else config.transfer)
            case Benchmark():
                if run is None:
                    raise UserError(f"task={name} asks a model, and run=null names none. Name its run=.")
                answerer = ModelAnswerer(
                    run.model,
                    run.tokenizer,
                    batch_size=settings.batch_size,
                    max_new_tokens=settings.max_new_tokens,
                    device=settings.device,
                )
                centring = settings.image_centring(run.transfer)
                findings[name] = run_benchmark(
                    task, answerer, image_tower(), centring, name=name, seed=trained.seed, samples=settings.samples
                )

    asked = replace(trained, **{key: getattr(config, key) for key in ("run", "out", "evaluation", "pictures", "tasks")})
    metrics = merge_metrics(findings)
    rejections = pictures.rejections if isinstance(pictures, Sifting) else ()
    rejected = out / "rejected_pictures.jsonl"
    (out / METRICS).unlink(missing_ok=True)  # killed from here on, it has no numbers rather than another one's
    for name, found in findings.items():
        found.save(out / name)
    used = [found.image_statistics for found in findings.values() if found.image_statistics]
    if run and config.out is None and used:  # so that the model can be asked about one picture
        calibrate(run.path / MODEL / VISION, used[0])
    write_rejected(rejected, rejections)
    report = out / "report.html"
    told = {name: plain(task) for name, task in config.tasks.items()} if of_files else document(asked)
    evaluation_report(run and run.path, list(findings.values()), rejections, told).write(report)
    save_config(asked, out / "config.yaml")
    write_metrics(out, metrics)
    if run:
        name = str(out.relative_to(run.path) if out.is_relative_to(run.path) else out.name)
        figures = [figure for found in findings.values() for figure in found.figures]
        config.logger.evaluated(run.path, name, metrics, figures)
    places = {"dataset": Path(trained.dataset), "run": run.path} if run else {}
    if rejections:
        places |= {f"{len(rejections):,} rejected pictures": rejected}
    show(*closing_tables(metrics, places | {"report": report}))


if __name__ == "__main__":
    command.run(evaluate)
