"""A dataset in, a model out: embeddings -> transfer -> align the projector -> tune the model. No image, ever."""

from unicorn import command
from unicorn.config import Config, plain, save_config

STAGES = ("align", "tune")


def train(config: Config) -> None:
    """A dataset in, a model out: embeddings -> transfer -> align the projector -> tune the model. No image, ever.

    Run again, it goes on from where it was. stages=[align] for one of: align, tune.
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
    from unicorn.training.run import is_finished, run_stage, writing
    from unicorn.training.tune import LoraTuneSettings

    run = config.run_folder
    chosen = config.chosen_stages(STAGES)
    dataset = UnicornDataset.open(config.dataset)
    dataset.require_space(config.encoder.space)
    transfer = config.transfer.fit(dataset.statistics, dataset.chunks())
    L.seed_everything(config.seed, verbose=False)
    model, tokenizer = config.model.build(dataset.dimension)

    with writing(run):
        stages = [name for name in STAGES if name in chosen or is_finished(name, run)]  # the finished are read back
        metrics: dict[str, float] = {}
        for name in stages:
            result = run_stage(
                getattr(config, name).build(),
                model=model,
                tokenizer=tokenizer,
                dataset=dataset,
                transfer=transfer,
                data=config.data,
                trainer=config.trainer,
                logger=config.logger,
                run=run,
                seed=config.seed,
                made_by={"model": plain(config.model), "transfer": plain(config.transfer)},
            )
            model = result.model
            metrics |= result.metrics
        if getattr(rank_zero_only, "rank", 0):
            return
        transfer.save(run / "transfer")
        sees = PictureEncoder(encoder=config.encoder, transfer=transfer)
        save_model(run / "model", model, UnicornProcessor(tokenizer, config.model.visual_tokens, sees))
        if isinstance(config.tune, LoraTuneSettings) and is_finished("tune", run):
            save_adapter(run, config.tune.build(), model.config, config.model.language_model)
        save_config(config, run / "config.yaml")
        write_metrics(run, metrics)
        show(facts_table("Trained", metrics), facts_table("Written", {"dataset": dataset.path, "run": run}))


if __name__ == "__main__":
    command.run(train)
