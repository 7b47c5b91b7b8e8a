"""A folder or archive of pictures without labels, as one domain."""

from __future__ import annotations

from pathlib import Path

from dalib.core.errors import DalibError
from dalib.data.folders import ImageTree
from dalib.data.listing import COMMON, Listing


class Pictures(ImageTree):
    """All images below a folder or in an archive as one unlabelled domain, whatever folders they lie in."""

    def __init__(self, root: str | Path, name: str) -> None:
        self.root = Path(root)
        self.listing = Listing(root)
        self.zipped, self.wrap, self.files, self.strays, self.empty, self.vacant = (
            self.listing.zipped,
            (),
            (),
            (),
            (),
            (),
        )
        self.lists, self.left_out, self.flat = (), self.listing.left_out, {name: tuple(self.listing.images)}
        if not self.listing.images:
            why = "; ".join(self.listing.remarks()) or f"expected files that end in {COMMON} …"
            raise DalibError(f"{root} holds no images; {why}")
