"""The report of an experiment: tables and figures of what its networks answered, as Markdown, HTML, CSV and JSON."""
