"""The report as one HTML file that loads nothing and runs nothing."""

import base64

import jinja2

from seiscomp_dlloc.report.comparisonstyle import CSS

from .document import Document, Picture, Table, cell_text

_PAGE = """\
<!DOCTYPE html>
<html lang=en><head><meta charset=utf-8>
<meta http-equiv=Content-Security-Policy content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name=viewport content='width=device-width, initial-scale=1'>
<title>{{ document.title }}</title>
<style>{{ css | safe }} figure{margin:0} figcaption{color:var(--pale);margin:4px 0 14px}</style></head><body><main>
<header><h1>{{ document.title }}</h1>
{% if document.banner %}<p class=banner>{{ document.banner }}</p>{% endif %}
<ul>{% for label, text in document.facts.items() %}<li><b>{{ label }}</b>: {{ text }}{% endfor %}</ul></header>
{% for section in document.sections %}
<section><h2>{{ section.title }}</h2>
{% for block in section.blocks %}
{% if block is table %}
<div class=wide><table><tr>{% for name in block.columns %}<th>{{ name }}{% endfor %}</tr>
{% for row in block.rows %}
<tr>{% for cell in row %}<td{% if loop.first %} class=text{% endif %}>{{ cell | shown }}{% endfor %}</tr>
{% endfor %}</table></div>
{% if block.note %}<p class=note>{{ block.note }}</p>{% endif %}
{% elif block is picture %}
<figure><img alt="{{ block.caption }}" src="data:image/png;base64,{{ block.png | base64 }}">
<figcaption>{{ block.caption }}</figcaption></figure>
{% else %}
<p>{{ block }}</p>
{% endif %}
{% endfor %}</section>
{% endfor %}</main></body></html>
"""


def to_html(document: Document) -> str:
    """The page; text from anywhere is escaped, figures are inside."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.tests["table"] = lambda block: isinstance(block, Table)
    environment.tests["picture"] = lambda block: isinstance(block, Picture)
    environment.filters["shown"] = cell_text
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode("ascii")
    return environment.from_string(_PAGE).render(document=document, css=CSS)
