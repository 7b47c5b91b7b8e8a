"""The house's docstrings for Sphinx: `name: text` becomes an item of a list, words in backticks become code."""

from __future__ import annotations

import re

SECTION = re.compile(r"(Args|Attributes|Class variables|Raises|Returns|Shapes|Example)( \(.*\))?:?")
ITEM = re.compile(r"(\w+(?:, \w+)*): (.*)")


def to_rst(lines: list[str]) -> list[str]:
    """The lines of a docstring (`inspect.cleandoc`) as reStructuredText.

    Lines below a section's name are its items, deeper ones go on with them; so do indented lines below `name: text`.
    Examples, and other indented lines, are shown as they are.
    """
    out: list[str] = []
    section, state = "", ""
    for line in lines:
        text, indent = line.strip(), len(line) - len(line.lstrip())
        if not text:
            state = "" if state == "item" else state
            out.append("")
        elif not indent and SECTION.fullmatch(text):
            section, state = text, ""
            out += ["", f"**{text.rstrip(':')}**", "", *(["::", ""] if text == "Example" else [])]
        elif not indent:
            section, item = "", ITEM.fullmatch(text)
            out += [""] if (state == "item") != bool(item) or state == "block" else []
            out.append(f"- ``{item[1]}``: {escape(item[2])}" if item else escape(text))
            state = "item" if item else "text"
        elif section and section != "Example":
            out.append(list_item(text) if indent <= 4 else f"  {escape(text)}")
        elif state == "item":
            out.append(f"  {escape(text)}")
        else:
            out += ["", "::", ""] if not section and state != "block" else []
            out.append(line)
            state = "block"
    return [*out, ""]


def list_item(text: str) -> str:
    """`name, other: text` with its names as code."""
    names, colon, meaning = text.partition(": ")
    if not colon or len(names) > 60:
        return f"- {escape(text)}"
    return f"- {', '.join(f'``{n}``' for n in names.split(', '))}: {escape(meaning)}"


def escape(text: str) -> str:
    """`x` as code, everything else as it stands: no emphasis, no references."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return re.sub(r"([\\*_|`])", r"\\\1", text)
    return "".join(f"``{p}``" if i % 2 else re.sub(r"([\\*_|])", r"\\\1", p) for i, p in enumerate(parts))


def process(app: object, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Autodoc's hook."""
    lines[:] = to_rst(lines)
