"""Text in, a dataset out: seeds -> dense captions -> instructions -> text embeddings. No image, ever."""

from contextlib import closing
from pathlib import Path

from unicorn import command
from unicorn.config import Config

STAGES = ("captions", "instructions", "embeddings")


def synthesize(config: Config) -> None:
    """Text in, a dataset out: seeds -> dense captions -> instructions -> text embeddings. No image, ever.

    Run again, it goes on from where it was. stages=[captions] for some of: captions, instructions, embeddings.
    """
    from unicorn.dataset import DatasetWriter
    from unicorn.report.table import facts_table, show
    from unicorn.synthesis.captions import write_captions
    from unicorn.synthesis.embeddings import hand_in_embeddings, write_embeddings
    from unicorn.synthesis.imported import import_embeddings
    from unicorn.synthesis.instructions import write_instructions
    from unicorn.synthesis.ranks import Ranks
    from unicorn.synthesis.report import write_report
    from unicorn.synthesis.seed_rejects import open_seeds
    from unicorn.synthesis.stage import report_table

    stages, ranks = config.chosen_stages(STAGES), Ranks.of_environment()
    ranks.require_embeddings_alone(stages)
    if ranks.rank > 0:
        show(report_table([hand_in_embeddings(Path(config.dataset), config.encoder, config.synthesis, ranks)]))
        return
    if "embeddings" in stages and not config.synthesis.vectors.path:
        config.encoder.require()  # before hours of an LLM lead up to it
    reports = []
    with (
        DatasetWriter(Path(config.dataset), config.synthesis.block_size) as writer,
        closing(config.llm.build()) as generator,
    ):
        if "captions" in stages:
            seeds, left_out = open_seeds(config.seeds.build, writer.folder)
            reports += [*left_out, write_captions(writer, seeds, generator, config.synthesis, config.seed)]
        if "instructions" in stages:
            reports.append(write_instructions(writer, generator, config.synthesis, config.seed))
        if "embeddings" in stages and config.synthesis.vectors.path:
            reports.append(import_embeddings(writer, config.synthesis.vectors))
        elif "embeddings" in stages:
            reports.append(write_embeddings(writer, config.encoder, config.synthesis, ranks))
        page = write_report(Path(config.dataset), [report.usage for report in reports if report.usage])
    show(report_table(reports), facts_table("Written", {"dataset": Path(config.dataset), "report": page}))


if __name__ == "__main__":
    command.run(synthesize)
