"""What a check says: nothing when all is well, `CheckFailure` with the fault and what to do about it otherwise."""

from __future__ import annotations

from dataclasses import dataclass


class CheckFailure(AssertionError):
    """A plug-in breaks its contract; the message names the fault and the remedy."""


@dataclass(frozen=True)
class CheckResult:
    """One check on one plug-in.

    Args
        name: of the check (`loss_is_pure`)
        subject: `algorithm dann`
        passed: whether the contract holds
        message: the fault and the remedy in one line; empty when passed
    """

    name: str
    subject: str
    passed: bool
    message: str = ""


def require(condition: object, message: str) -> None:
    """Raise CheckFailure(message) unless the condition holds."""
    if not condition:
        raise CheckFailure(message)
