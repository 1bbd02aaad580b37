"""What `mkdocs.yml` asks for beside MkDocs: pages from the whole repository, at their own paths.

MkDocs takes one folder. Ours lie in several, beside what they are about, and link to each other and
to files by relative paths, as GitHub follows them. So the site has the repository's paths: its pages
are those of `PAGES`, and whatever file a page links to is copied.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "build" / "docs-sources"
PAGES = ("*.md", "docs/**/*.md", "leaderboards/*.md", "benchmarks/study/*.md")

BELOW = ("agents", "benchmarks", "leaderboards")
"""Folders that are imported below `edge_marl` (`pyproject.toml` maps them)."""

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


def on_config(config: MkDocsConfig) -> None:
    """Lay the packages out as they are imported, which is where mkdocstrings looks for them."""
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
    return Files([*theme, *(_file(source, config) for source in sources)])


def _file(source: Path, config: MkDocsConfig) -> File:
    path = source.relative_to(ROOT).as_posix()
    return File.generated(config, path, abs_src_path=str(source))


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a page that would ask the network for anything."""
    for page in Path(config.site_dir).rglob("*.html"):
        if found := ASKED_OUTSIDE.search(page.read_text("utf-8")):
            raise PluginError(f"{page}: asks the network for {found[0]}; ship the file instead")
