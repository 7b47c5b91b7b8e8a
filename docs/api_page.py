"""What the reference's page gets when it is read: a table of names above every section, links, plain signatures."""

from __future__ import annotations

import re

ENTRY = re.compile(r"\.\. auto(?:function|class|exception):: (dalib[\w.]+)")
SECTION = re.compile(r"(?m)^(?=##+ )")
FEW = 3
"""A section with fewer names gets no table of them."""


def read_page(app: object, page: str, source: list[str]) -> None:
    """Sphinx's hook for the text of a page."""
    if page == "api":
        source[0] = link_names(add_summaries(source[0]))


def add_summaries(text: str) -> str:
    """A table of its names with their first lines before the first entry of every section."""
    parts = SECTION.split(text)
    return "".join(_with_table(part) for part in parts)


def _with_table(section: str) -> str:
    names, start = ENTRY.findall(section), section.find("```{eval-rst}")
    if len(names) < FEW:
        return section
    rows = "\n".join(f"   {name}" for name in names)
    return f"{section[:start]}```{{eval-rst}}\n.. autosummary::\n   :nosignatures:\n\n{rows}\n```\n\n{section[start:]}"


def link_names(text: str) -> str:
    """Names in tables that have an entry on the page become links to it."""
    known = set(ENTRY.findall(text))

    def link(match: re.Match[str]) -> str:
        return f"{{py:obj}}`{match[1]}`" if match[1] in known else match[0]

    return re.sub(r"(?m)^\|.*$", lambda line: re.sub(r"(?<!\})`(dalib[\w.]+)`", link, line[0]), text)


def plain_signature(
    app: object, what: str, name: str, thing: object, options: object, signature: str | None, answer: str | None
) -> tuple[str | None, str | None]:
    """Autodoc's hook: `Annotated[int, Ge(ge=0)]` is shown as `int`; the docstring says what is in range."""
    return (strip_annotated(signature) if signature else signature), answer


def strip_annotated(text: str) -> str:
    """The first argument in the place of every `Annotated[…]`."""
    start = re.search(r"(?:typing\.)?Annotated\[", text)
    if not start:
        return text
    depth, comma, i = 1, 0, start.end()
    while depth:
        depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(text[i], 0)
        comma = comma or (i if text[i] == "," and depth == 1 else 0)
        i += 1
    return strip_annotated(text[: start.start()] + text[start.end() : comma] + text[i:])
