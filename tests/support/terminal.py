"""A terminal of a given width, without a person before it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import pytest

END = b"\x00that is all\x00"


@contextmanager
def terminal(width: int, *streams: str) -> Iterator[StringIO]:
    """The streams (`stdout` unless named) are a pseudo-terminal; what it got is in the value after the block."""
    got, received = StringIO(), bytearray()
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))

    def read() -> None:
        while not received.endswith(END):
            received.extend(os.read(master, 65536))

    reader = threading.Thread(target=read)
    with pytest.MonkeyPatch.context() as patch, os.fdopen(slave, "w", encoding="utf-8") as screen:
        patch.delenv("COLUMNS", raising=False)
        patch.setenv("TERM", "xterm")
        for name in streams or ("stdout",):
            patch.setattr(sys, name, screen)
        reader.start()
        try:
            yield got
        finally:
            screen.flush()
            os.write(slave, END)  # closing first may lose what is still on its way
            reader.join(timeout=60)
            assert received.endswith(END), "the pseudo-terminal did not deliver what was written to it"
            os.close(master)
            got.write(received.removesuffix(END).decode().replace("\r\n", "\n"))
            got.seek(0)
