"""A dataset in, a model out: embeddings -> transfer -> align the projector -> tune the model. No image, ever."""

from functools import partial
from pathlib import Path

from unicorn import command
from unicorn.config import Config, document, plain, save_config

STAGES = ("align", "tune")


def train(config: Config) -> float | None:
    """A dataset in, a model out: embeddings -> transfer -> align the projector -> tune the model. No image, ever.

    Run again, it goes on from where it was. stages=[align] for one of: align, tune.
    plan=true says what it would take, and does not train.
    A sweep that searches makes the held-out loss of the last stage small.
    """
    import lightning.pytorch as L
    from lightning.pytorch.utilities import rank_zero_only

    from unicorn.dataset import UnicornDataset
    from unicorn.hub.picture_encoder import PictureEncoder
    from unicorn.hub.processor import UnicornProcessor
    from unicorn.hub.saved import save_model
    from unicorn.report.metrics import write_metrics
    from unicorn.report.table import facts_table, show
    from unicorn.training.adapter import save_adapter
    from unicorn.training.page import training_report
    from unicorn.training.plan.page import plan_metrics, plan_tables
    from unicorn.training.plan.plan import plan
    from unicorn.training.preflight import require
    from unicorn.training.ranks import disband
    from unicorn.training.run import is_finished, run_stage, trained, writing
    from unicorn.training.tune import LoraTuneStage

    run = config.run_folder
    chosen = config.chosen_stages(STAGES)
    if config.plan:
        planned = plan(config, [getattr(config, name).build() for name in chosen])
        if config.out:
            write_metrics(Path(config.out), plan_metrics(planned))
        show(*plan_tables(planned))
        return None
    dataset = UnicornDataset.open(config.dataset)
    dataset.require_space(config.encoder.space)
    transfer = config.transfer.fit(dataset.statistics, dataset.chunks())
    tokenizer, build = config.model.tokenizer(), partial(config.model.build, dataset.dimension)
    L.seed_everything(config.seed, verbose=False)

    with writing(run):
        names = [name for name in STAGES if name in chosen or is_finished(name, run)]
        stages = [getattr(config, name).build() for name in names]
        require(
            [stage for stage in stages if not is_finished(stage.name, run)],
            model=config.model,
            tokenizer=tokenizer,
            dataset=dataset,
            trainer=config.trainer,
        )
        metrics: dict[str, float] = {}
        for stage in stages:
            metrics |= run_stage(
                stage,
                build=build,
                tokenizer=tokenizer,
                dataset=dataset,
                transfer=transfer,
                data=config.data,
                trainer=config.trainer,
                logger=config.logger,
                validation=config.validation,
                run=run,
                seed=config.seed,
                made_by={"model": plain(config.model), "transfer": plain(config.transfer)},
            )
        disband()
        loss = metrics.get(f"{chosen[-1]}/validation/loss") if chosen else None
        if getattr(rank_zero_only, "rank", 0):
            return loss
        model = trained(stages, build=build, run=run, seed=config.seed)
        transfer.save(run / "transfer")
        sees = PictureEncoder(encoder=config.encoder, transfer=transfer)
        save_model(run / "model", model, UnicornProcessor(tokenizer, config.model.visual_tokens, sees))
        if stages and isinstance(stages[-1], LoraTuneStage):
            save_adapter(run, stages[-1], model.config, config.model.language_model)
        save_config(config, run / "config.yaml")
        report = run / "report.html"
        training_report(run, names, metrics, document(config)).write(report)
        write_metrics(run, metrics)
        places = {"dataset": dataset.path, "run": run, "report": report}
        show(facts_table("Trained", metrics), facts_table("Written", places))
    return loss


if __name__ == "__main__":
    command.run(train)
