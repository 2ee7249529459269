"""What mkdocs calls when it builds the site (`mkdocs.yml`): README.md is the first page, and pages may name files that
lie outside docs/."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = re.compile(r"\]\(\.\./([^)#]+)")  # the path in a link from docs/ to another folder
BESIDE = re.compile(r"\]\((?!docs/|https?:|#)([^)#]+)")  # in a link from README.md to what is not in docs/


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Adds README.md, seen from docs/, and the files outside that pages link to."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "index.md", content=readme.replace("](docs/", "](")))
    linked = set(BESIDE.findall(readme))
    for page in files.documentation_pages():
        linked.update(OUTSIDE.findall(page.content_string))
    for name in linked:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))


def on_page_markdown(markdown: str, **_: object) -> str:
    """A page whose links to other folders lead to these files."""
    return OUTSIDE.sub(r"](\1", markdown)
