"""Saved answers and dumps on disk: ``detect`` what a file holds, ``read`` it in batches."""

from polyhouse.sources.files.formats import Format
from polyhouse.sources.files.reader import SOURCES, ImportBatch, detect, read

__all__ = ["SOURCES", "Format", "ImportBatch", "detect", "read"]
