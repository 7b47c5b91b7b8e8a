"""Checksums that files carry, so that a damaged one is noticed: CRC-32, which sees every change of up to 32 bits."""

from __future__ import annotations

import re
import zlib

_MARK = b"dalib-crc32:"
_LENGTH = len(_MARK) + 8
_FIELD = re.compile(rb',\n "crc32": "([0-9a-f]{8})"\n\}\n?\Z')
_LAST_LINE = b'{"crc32": "'
_IN_HEADER = rb"\"crc32\": \""
NO_SUM = "0" * 8
"""What stands in a model file's header in the place of its checksum when that is taken."""
_END_OF_ZIP = b"PK\5\6\0\0\0\0"


class Damaged(ValueError):
    """A file's content is not what its checksum says."""


def crc32(content: bytes) -> str:
    """Eight hexadecimal digits."""
    return f"{zlib.crc32(content):08x}"


def seal(content: bytes) -> bytes:
    """The content with its checksum at the end; a zip file's becomes its comment, so that it stays a zip file."""
    if content[-22:-14] == _END_OF_ZIP and content[-2:] == b"\0\0":
        content = content[:-2] + _LENGTH.to_bytes(2, "little")
    return content + _MARK + crc32(content).encode()


def is_sealed(content: bytes) -> bool:
    """There is a checksum at the end."""
    return content[-_LENGTH:-8] == _MARK


def unseal(content: bytes) -> bytes:
    """What `seal` was given, but for the length of a zip file's comment.

    Raises
        Damaged: the checksum is another, or there is none
    """
    inner = content[:-_LENGTH]
    if not is_sealed(content):
        raise Damaged("it has no checksum")
    if content[-8:] != crc32(inner).encode():
        raise Damaged("its checksum is another")
    return inner


def seal_json(text: str) -> str:
    """An indented JSON object with its own checksum as the last field, `crc32`."""
    return text.removesuffix("\n}") + f',\n "crc32": "{crc32(text.encode())}"\n}}'


def unseal_json(content: bytes) -> bytes:
    """What `seal_json` was given; an object without the field, as files were before, is returned as it is.

    Where damage hides the field, it is left in the object, whose model refuses it.

    Raises
        Damaged: the checksum is another
    """
    sealed = _FIELD.search(content)
    if sealed is None:
        return content
    inner = content[: sealed.start()] + b"\n}"
    if sealed[1] != crc32(inner).encode():
        raise Damaged("its checksum is another")
    return inner


def seal_lines(content: bytes) -> bytes:
    """Lines of JSON with their checksum as the last one."""
    return content + _LAST_LINE + f'{crc32(content)}"}}\n'.encode()


def unseal_lines(content: bytes) -> bytes:
    """What `seal_lines` was given; lines without a checksum, as files were before, are returned as they are.

    Raises
        Damaged: the checksum is another
    """
    start = content.rstrip(b"\n").rfind(b"\n") + 1
    if not content.startswith(_LAST_LINE, start):
        return content
    if content != seal_lines(content[:start]):
        raise Damaged("its checksum is another")
    return content[:start]


def with_header_sum(content: bytes, digits: str = "") -> bytes:
    """A safetensors file, whose facts hold `NO_SUM` as `crc32`, with its checksum in that place, or these digits."""
    start = content.find(_IN_HEADER) + len(_IN_HEADER)
    return content[:start] + (digits or crc32(content)).encode(errors="replace") + content[start + 8 :]


def header_sum_is_right(content: bytes, digits: str) -> bool:
    """The checksum that stands in a file is that of the rest."""
    if len(digits) != 8 or _IN_HEADER not in content:
        return False
    return crc32(with_header_sum(content, NO_SUM)) == digits
