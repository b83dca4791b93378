"""Text towers and image towers that share one embedding space."""

from unicorn.encoder.tower import EncoderSettings, ImageTower, TextTower

__all__ = ["EncoderSettings", "ImageTower", "TextTower"]
