"""One interface to a text generator, whatever answers behind it."""

from unicorn.llm.generator import Generator, GeneratorSettings, Request, Result

__all__ = ["Generator", "GeneratorSettings", "Request", "Result"]
