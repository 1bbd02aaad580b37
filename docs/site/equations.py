"""Equations of the site: MathML, made when it is built, which browsers draw without a script.

Pages write them as GitHub reads them: `$...$` in a line, blocks of ```math.
"""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

EQUATION = re.compile(
    r'<(?:span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</(?:span|div)>', re.DOTALL
)
"""An equation as the extension arithmatex leaves it in a page."""


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Set a page's equations."""

    def as_mathml(found: re.Match[str]) -> str:
        source = html.unescape(found[2]).strip()
        made = convert(source, display="block" if found[1] == "[" else "inline")
        if "\\" in made:  # the library passes on what it does not know
            raise PluginError(f"{page.file.src_uri}: cannot set the equation {source}")
        return made

    return EQUATION.sub(as_mathml, content)
