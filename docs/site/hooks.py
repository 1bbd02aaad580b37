"""What `mkdocs.yml` asks for beside MkDocs: pages from the whole repository, notebooks among them.

MkDocs takes one folder. Ours lie in several, beside what they are about, and link to each other and
to files by relative paths, as GitHub follows them. So the site has the repository's paths: its
pages are those of `PAGES`, and whatever file a page links to is copied. A notebook becomes a page
beside it.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "build" / "docs-sources"
STYLE = Path(__file__).with_name("style.css")
PAGES = ("*.md", "docs/**/*.md", "leaderboards/*.md", "benchmarks/study/*.md")

BELOW = ("agents", "benchmarks", "leaderboards")
"""Folders that are imported below `edge_marl` (`pyproject.toml` maps them)."""
NOTEBOOKS = "docs/notebooks/*.ipynb"
BASH = "%%bash\n"
"""How a cell of commands begins."""

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
ASKED_OUTSIDE = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=[\"']?https?://[^>]*>")


def pages() -> list[Path]:
    """Return every page of the site that is a file of the repository."""
    return sorted(page for part in PAGES for page in ROOT.glob(part))


def linked(page: Path) -> set[Path]:
    """Return the files that a page links to, beside other pages."""
    targets = {target for target in LINK.findall(page.read_text("utf-8")) if "://" not in target}
    files = {(page.parent / target).resolve() for target in targets}
    return {file for file in files if file.is_file() and file.suffix != ".md"}


def on_startup(command: str, dirty: bool) -> None:
    """Lay the packages out as they are imported, which is where mkdocstrings looks for them.

    Before it is configured: it then forgets a folder that is not there yet, as in a fresh clone.
    """
    shutil.rmtree(SOURCES, ignore_errors=True)
    package = SOURCES / "edge_marl"
    homes = {ROOT / "edge_marl": package} | {ROOT / name: package / name for name in BELOW}
    for folder, home in homes.items():
        for file in folder.rglob("*.py"):
            copy = home / file.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take the theme's files, our pages, and what these link to."""
    theme = [file for file in files if file.src_dir != config.docs_dir]
    sources = pages()
    sources += sorted({file for page in sources for file in linked(page)})
    sources.append(STYLE)
    made = []
    for notebook in sorted(ROOT.glob(NOTEBOOKS)):
        sources.append(notebook)
        path = notebook.relative_to(ROOT).with_suffix(".md").as_posix()
        made.append(File.generated(config, path, content=as_page(notebook)))
    return Files([*theme, *made, *(_file(source, config) for source in sources)])


def as_page(notebook: Path) -> str:
    """Return a notebook's cells as Markdown, with a link to the notebook below its title."""
    texts = []
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code":
            language = "bash" if text.startswith(BASH) else "python"
            text = f"```{language}\n{text.removeprefix(BASH)}\n```"
        texts.append(text)
    title, first = texts[0].split("\n", 1)
    link = f"*A notebook: [{notebook.name}]({notebook.name}), to be run cell by cell.*"
    return "\n\n".join([title, link, first, *texts[1:]])


def _file(source: Path, config: MkDocsConfig) -> File:
    path = source.relative_to(ROOT).as_posix()
    return File.generated(config, path, abs_src_path=str(source))


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a page that would ask the network for anything."""
    for page in Path(config.site_dir).rglob("*.html"):
        if found := ASKED_OUTSIDE.search(page.read_text("utf-8")):
            raise PluginError(f"{page}: asks the network for {found[0]}; ship the file instead")
