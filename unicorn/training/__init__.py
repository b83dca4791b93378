"""Training: one LightningModule, the stages align and tune, checkpoints that resume exactly, loggers."""
