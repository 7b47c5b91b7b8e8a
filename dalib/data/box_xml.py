"""XML as annotation tools write it: elements with text and their lines; no document types, so no entities to expand."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

DEEPEST, LONGEST = 50, 10_000
"""Elements within each other, and characters of one, that no file of boxes has."""


@dataclass
class Node:
    """An element: its name, line, text and elements."""

    tag: str
    line: int
    text: str = ""
    children: list[Node] = field(default_factory=list)

    def all(self, tag: str) -> list[Node]:
        return [child for child in self.children if child.tag == tag]

    def first(self, tag: str) -> Node | None:
        return next((child for child in self.children if child.tag == tag), None)

    def text_of(self, tag: str) -> str:
        """The text of the first element of that name; empty where there is none."""
        node = self.first(tag)
        return node.text if node else ""


def parse_xml(content: bytes) -> Node:
    """The root of a document.

    Raises
        ValueError: `line N: …`, it is no XML, has a document type (whose entities could grow without end, or name
            other files), or elements within elements without end
    """
    parser, open_nodes, roots = expat.ParserCreate(), list[Node](), list[Node]()
    parser.buffer_text = True

    def begin(tag: str, attributes: dict[str, str]) -> None:
        if len(open_nodes) >= DEEPEST:
            raise ValueError(f"line {parser.CurrentLineNumber}: elements within elements without end")
        node = Node(tag, parser.CurrentLineNumber)
        (open_nodes[-1].children if open_nodes else roots).append(node)
        open_nodes.append(node)

    def end(tag: str) -> None:
        open_nodes.pop()

    def say(text: str) -> None:
        if text.strip():
            open_nodes[-1].text += text
            if len(open_nodes[-1].text) > LONGEST:
                raise ValueError(f"line {parser.CurrentLineNumber}: more text than a name or a number has")

    def refuse(*_: object) -> None:
        raise ValueError(f"line {parser.CurrentLineNumber}: it has a document type (<!DOCTYPE>), which is not read")

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = begin, end, say
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise ValueError(f"line {error.lineno}: no XML ({reason})") from None
    except (LookupError, UnicodeError) as error:
        raise ValueError(f"line 1: no XML ({error})") from None
    return roots[0]
