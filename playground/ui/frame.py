"""What every page has on top: its name, and the way to the other pages.

Addresses are relative to the page's own, so that they hold under any name and sub-path.
"""

from dataclasses import dataclass

import gradio as gr

from playground.settings import Settings
from playground.ui import text


@dataclass(frozen=True, slots=True)
class PageLink:
    """A page that others lead to: its path below the first page, and what its link says."""

    path: str
    name: str


_MAIN = 2  # the first ones are always in sight, the others under "More", where the page that is open stands beside it
PAGES = (PageLink("", "One picture"), PageLink("many", "Many pictures"), PageLink("compare", "Compare"),
         PageLink("measure", "Measure"), PageLink("live", "Live"))  # fmt: skip
_TEACH = PageLink("teach", "Teach")  # where it is offered
_API = PageLink("#api", "Use via API")  # the panel of the first page, which tells of all endpoints


def add_title(path: str, lead: str, settings: Settings) -> None:
    """Put the title, what the page at this path is for, and the links to all pages on a page that is being built."""
    main, more = PAGES[:_MAIN], (*PAGES[_MAIN:], *([_TEACH] if settings.may_teach else []))
    links = "".join(_link(page, is_here=page.path == path) for page in main)
    here = "".join(_link(page, is_here=True) for page in more if page.path == path)
    others = "".join(_link(page, is_here=False) for page in (*more, _API) if page.path != path)
    menu = f'<details class="more"><summary>More</summary><div>{others}</div></details>'
    nav = f'<nav aria-label="Pages">{links}{here}{menu}</nav>'
    gr.HTML(
        f'<header class="title"><h1>{text.TITLE}</h1>{nav}<p>{lead}</p></header>',
        elem_id="title",
        apply_default_css=False,
    )


def _link(page: PageLink, *, is_here: bool) -> str:
    where = ' aria-current="page"' if is_here else f' href="./{page.path}"'
    return f"<a{where}>{page.name}</a>"
