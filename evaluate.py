"""Ask a trained model about real images: image tower -> shift -> answers, scores, figures."""

from dataclasses import replace
from pathlib import Path

from unicorn import command
from unicorn.config import Config, document, load_config, save_config


def evaluate(config: Config) -> None:
    """Ask a trained model about real images: image tower -> shift -> answers, scores, figures.

    run=outputs/NAME names the run; task=scenes or a list of tasks; model, encoder and transfer are the run's.
    """
    from unicorn.evaluation.answering import ModelAnswerer
    from unicorn.evaluation.benchmark import run_benchmark
    from unicorn.evaluation.page import closing_tables, evaluation_report
    from unicorn.evaluation.pictures import encode_pairs
    from unicorn.evaluation.run import Run
    from unicorn.evaluation.task import Benchmark, Findings, merge_metrics
    from unicorn.report.metrics import METRICS, write_metrics
    from unicorn.report.table import show

    settings = config.evaluation
    run = Run.open(Path(config.run))
    trained = load_config(run.path / "config.yaml")
    run.require_encoder(trained.encoder)
    image_tower = trained.encoder.image_tower()
    answerer = ModelAnswerer(
        run.model,
        run.tokenizer,
        batch_size=settings.batch_size,
        max_new_tokens=settings.max_new_tokens,
        device=settings.device,
    )
    out = Path(config.out or run.path / "evaluation")
    asked = replace(trained, **{key: getattr(config, key) for key in ("run", "out", "evaluation", "pictures", "tasks")})

    findings: dict[str, Findings] = {}
    for name, task_settings in config.tasks.items():
        task = task_settings.build()
        if isinstance(task, Benchmark):
            centring = settings.image_centring(run.transfer)
            findings[name] = run_benchmark(
                task, answerer, image_tower, centring, name=name, seed=trained.seed, samples=settings.samples
            )
        else:
            pictures = config.pictures.build().pictures()
            pairs = encode_pairs(pictures, image_tower, trained.encoder.text_tower())
            findings[name] = task.run(pairs, {run.transfer_name: run.transfer})

    metrics = merge_metrics(findings)
    (out / METRICS).unlink(missing_ok=True)  # killed from here on, it has no numbers rather than another one's
    for name, found in findings.items():
        found.save(out / name)
    report = out / "report.html"
    evaluation_report(run.path, list(findings.values()), document(asked)).write(report)
    save_config(asked, out / "config.yaml")
    write_metrics(out, metrics)
    show(*closing_tables(metrics, {"dataset": Path(trained.dataset), "run": run.path, "report": report}))


if __name__ == "__main__":
    command.run(evaluate)
