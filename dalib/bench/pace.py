"""How long the runs that are left will take, told by those that ended; nothing is said before enough of them have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median


@dataclass
class _Seen:
    """fit: seconds of training; cost: expected steps of source-only; other: seconds of all else, per run."""

    fit: float = 0.0
    cost: float = 0.0
    other: list[float] = field(default_factory=list)


class Pace:
    """Learns from records.

    A run is expected to take what runs of its row took, training in proportion to their expected cost; a row of which
    none has ended takes what all others tell, by its cost. Runs of this call count where a row has any, else records
    of before, which may be of another machine. The first runs of a call make data and load libraries for all that
    follow, so nothing is said before every worker has ended a second one, unless records of before tell.

    Args
        workers: that share the runs
        left: key -> (row, expected cost) of the runs to do
    """

    def __init__(self, workers: int, left: Mapping[str, tuple[str, float]]) -> None:
        self.workers = max(workers, 1)
        self.left = dict(left)
        self.ended = 0
        self._seen: dict[tuple[str, bool], _Seen] = {}

    def learn(self, row: str, cost: float, seconds: Mapping[str, float], here: bool = False) -> None:
        """What a record of `row` took: `seconds` by phase (`fit`, `total`).

        here: it was made by this call
        """
        total = seconds.get("total", 0.0)
        if total <= 0:
            return
        fit = min(seconds.get("fit", total), total)
        seen = self._seen.setdefault((row, here), _Seen())
        seen.fit, seen.cost = seen.fit + fit, seen.cost + max(cost, 1e-9)
        seen.other.append(total - fit)

    def end(self, key: str, seconds: Mapping[str, float]) -> None:
        """A run of this call has ended."""
        row, cost = self.left.pop(key, ("", 0.0))
        self.ended += 1
        if row:
            self.learn(row, cost, seconds, here=True)

    @property
    def seconds(self) -> float | None:
        """Seconds until all is done, from the last end of a run; None while nothing can be said."""
        if not self.left:
            return 0.0
        before = {row for row, here in self._seen if not here}
        if not self._seen or (self.ended <= self.workers and not before):
            return None
        here_only = self.ended > self.workers
        expected = [self._expect(row, cost, here_only) for row, cost in self.left.values()]
        return max(sum(expected) / min(self.workers, len(expected)), max(expected) / 2)

    def _other(self, own: _Seen | None, told: list[_Seen]) -> float:
        """Seconds beside training: of the row where enough is known of it, else of all but as many of the longest as
        there are workers, whose first runs those may be."""
        if own and len(own.other) > self.workers:
            return median(own.other)
        values = sorted(value for seen in told for value in seen.other)
        return median(values[: max(len(values) - self.workers, 1)])

    def _expect(self, row: str, cost: float, ours: bool) -> float:
        """Seconds of one run."""
        own = self._seen.get((row, True)) or self._seen.get((row, False))
        told = [own] if own else [seen for (_, here), seen in self._seen.items() if here or not ours]
        told = told or list(self._seen.values())
        everything = [seen for (_, here), seen in self._seen.items() if here or not ours] or told
        return self._other(own, everything) + cost * sum(seen.fit for seen in told) / sum(seen.cost for seen in told)
