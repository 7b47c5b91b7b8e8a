"""Images that cannot be decoded, found before anything is counted, so that they can be skipped where that is asked."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import PIL

from dalib.core.errors import DalibError
from dalib.core.limits import amount_of
from dalib.data.cache import cache_root
from dalib.data.decode import decode_image
from dalib.data.folders import ImageTree
from dalib.data.memo import read_memo, write_memo


def skip_unreadable(tree: ImageTree) -> ImageTree:
    """The tree without the images that cannot be read; `skipped` says which, and why.

    Raises
        DalibError: a class or an unlabelled domain has no readable image
    """
    found = find_unreadable(tree)
    if not found:
        return tree
    kept = tree.without(found)
    there, left = (
        Counter((f.domain, f.cls) for d in (*t.domains, *t.flat) for f in t.of_domain(d)) for t in (tree, kept)
    )
    for (domain, cls), n in there.items():
        if not left[domain, cls]:
            place = f"{domain}/{cls}" if cls else domain
            raise DalibError(f"none of the {n} images of {place} in {tree.root} can be read; mend or remove them")
    return kept


def count_skipped(tree: ImageTree) -> str:
    """`3 unreadable images skipped (amazon 2, webcam 1)`, for captions; empty where there is none."""
    domains = Counter(f.domain for f in tree.skipped)
    told = ", ".join(f"{name} {n}" for name, n in sorted(domains.items()))
    return f"{len(tree.skipped)} unreadable images skipped ({told})" if tree.skipped else ""


def find_unreadable(tree: ImageTree) -> dict[str, str]:
    """member -> why it cannot be decoded. Every image is decoded once per content and limits, and remembered."""
    members = [f.member for f in tree.files] + [m for flat in tree.flat.values() for m in flat]
    limits = f"{PIL.__version__} {amount_of('DALIB_MAX_PIXELS', '90M')} {amount_of('DALIB_MAX_FILE', '500M')}"
    content = repr([(os.fsencode(m), *tree.checksums[m]) for m in members])
    memo = cache_root() / "unreadable" / f"{hashlib.sha256(f'{limits} {content}'.encode()).hexdigest()[:32]}.json"
    known = read_memo(memo)
    if known is None:
        known = dict(_examine(tree, members))
        write_memo(memo, known)
    return known


def _examine(tree: ImageTree, members: Iterable[str]) -> list[tuple[str, str]]:
    def examine(member: str) -> tuple[str, str]:
        try:
            decode_image(tree.read_sound(member), 8)
        except (DalibError, MemoryError):
            raise
        except Exception as error:  # whatever a damaged file makes Pillow raise
            return member, str(error).partition("<")[0].strip() or type(error).__name__
        return member, ""

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return [(member, why) for member, why in pool.map(examine, members) if why]
