"""Unicorn: vision-language models trained without a single image (arXiv 2503.22655).

    seeds ──────► synthesis ─────────────────────────► dataset ──► data ──────► training ──► evaluation
    captions      1 dense captions    (llm)            Parquet     transfer     1 align      real images
    and labels    2 instructions      (llm)            and Arrow   on the fly   2 tune       enter here,
                  3 text embeddings   (encoder: text)                (model)                 and only here
                                                                                (encoder: images)

    seeds/       where captions begin
    llm/         one interface to a text generator
    synthesis/   stage 1 captions, stage 2 instructions, stage 3 embeddings: prompts, parsing, resume
    pictures/    real pictures, for evaluation alone: folders, Parquet, Hub datasets; decoded, or rejected by name
    encoder/     text towers and image towers that share one embedding space
    transfer/    text vectors -> image-like vectors, both sides of it, and their statistics
    dataset/     the dataset on disk: manifest, shards, journals, lock
    data/        from dataset to batches: order, packing, chat template, the DataModule
    model/       projector + causal LM as one Hugging Face model
    hub/         the model as a citizen of Hugging Face: its processor, its saved folder, its card; ask and export
    training/    the LightningModule and its two stages
    evaluation/  benchmarks (a question about an image) and analyses (a study of embeddings)
    report/      tables, figures, self-contained HTML
    scenes/      the embedded world that every default runs on; it fills the seams as any plug-in would

Imports run one way: scenes > evaluation > synthesis, training > hub > model, data > encoder > dataset > transfer,
seeds, pictures > llm, report; under all of them config.py, files.py, records.py and errors.py.
"""
