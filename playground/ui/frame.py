"""What every page has on top: its name, and the way to the other pages.

Addresses are relative to the page's own, so that they hold under any name and sub-path.
"""

from dataclasses import dataclass

import gradio as gr

from playground.ui import text


@dataclass(frozen=True, slots=True)
class PageLink:
    """A page that others lead to: its path below the first page, and what its link says."""

    path: str
    name: str


PAGES = (PageLink("", "One picture"), PageLink("many", "Many pictures"), PageLink("compare", "Compare"),
         PageLink("live", "Live"))  # fmt: skip


def add_title(path: str, lead: str) -> None:
    """Put the title, what the page at this path is for, and the links to all pages on a page that is being built."""
    links = "".join(_link(page, is_here=page.path == path) for page in PAGES)
    gr.HTML(
        f'<header class="title"><h1>{text.TITLE}</h1><nav aria-label="Pages">{links}</nav><p>{lead}</p></header>',
        elem_id="title",
        apply_default_css=False,
    )


def _link(page: PageLink, *, is_here: bool) -> str:
    where = ' aria-current="page"' if is_here else f' href="./{page.path}"'
    return f"<a{where}>{page.name}</a>"
