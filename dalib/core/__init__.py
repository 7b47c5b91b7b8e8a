"""Nouns and contracts. Everything imports this room, so it is here that a mixture of packages is noticed."""

import dalib

if getattr(dalib, "__distribution__", "") != "dalib-toolkit":
    raise ImportError(
        f"dalib {getattr(dalib, '__version__', '')} at {getattr(dalib, '__file__', None)} is not dalib-toolkit but "
        "another package of that name, or what was left of one; they cannot share an environment: "
        "pip uninstall -y dalib dalib-toolkit, then install dalib-toolkit again"
    )
