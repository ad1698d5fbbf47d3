"""The report of an experiment: tables and figures of what its networks answered, as Markdown, HTML, CSV and JSON."""

from .summary import summarise
from .writing import write_report

__all__ = ["summarise", "write_report"]
