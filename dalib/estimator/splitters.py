"""Splits that know of domains, for cross_validate and GridSearchCV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection._split import _validate_shuffle_split
from sklearn.utils import check_random_state
from sklearn.utils._metadata_requests import _MetadataRequester

from dalib.estimator.domains import read_domains

TESTS = ("target", "both")


class _DomainSplitter(_MetadataRequester):
    """Splits by `sample_domain`, which scikit-learn routes to it."""

    __metadata_request__split = {"sample_domain": True}

    def split(
        self, X: Any, y: Any = None, sample_domain: ArrayLike | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Row numbers (train, test) of every split."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"

    def _need(self, sample_domain: Any) -> np.ndarray:
        if sample_domain is None:
            raise ValueError(
                f"{type(self).__name__} needs sample_domain; pass it in params of cross_validate, or in fit of "
                "GridSearchCV, under sklearn.set_config(enable_metadata_routing=True)"
            )
        return np.asarray(sample_domain)


class SourceTargetShuffleSplit(_DomainSplitter):
    """Random parts of the target to test on; all the rest, source and target, is for training.

    Labels of target rows in the training part are whatever y has: set target_labels='ignore' of an estimator to hide
    them.

    Args
        n_splits: how many
        test_size: part in (0, 1) or number of the rows held out; None = 0.25
        random_state: int, RandomState or None
        test: `target`, or `both`: source rows are held out too, for scorers that compare them (`make_scorer("dev")`)

    Example
        cross_validate(model, X, y, cv=SourceTargetShuffleSplit(5), params={"sample_domain": d})
    """

    def __init__(
        self,
        n_splits: int = 10,
        *,
        test_size: float | int | None = None,
        random_state: int | np.random.RandomState | None = None,
        test: str = "target",
    ) -> None:
        self.n_splits = n_splits
        self.test_size = test_size
        self.random_state = random_state
        self.test = test

    def split(
        self, X: Any, y: Any = None, sample_domain: ArrayLike | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if self.test not in TESTS:
            raise ValueError(f"test = {self.test!r}; say 'target' or 'both'")
        is_target, _ = read_domains(self._need(sample_domain))
        parts = [np.flatnonzero(is_target), np.flatnonzero(~is_target)]
        for part, name in zip(parts, ("target", "source"), strict=True):
            if not len(part):
                raise ValueError(f"sample_domain marks no row as the {name}'s")
        rng = check_random_state(self.random_state)
        for _ in range(self.n_splits):
            held = np.zeros(len(is_target), bool)
            for part in parts if self.test == "both" else parts[:1]:
                _, size = _validate_shuffle_split(len(part), self.test_size, None, default_test_size=0.25)
                held[rng.permutation(part)[:size]] = True
            yield np.flatnonzero(~held), np.flatnonzero(held)

    def get_n_splits(self, X: Any = None, y: Any = None, sample_domain: ArrayLike | None = None) -> int:
        """How many splits there are."""
        return self.n_splits


class LeaveOneDomainOut(_DomainSplitter):
    """Every domain in turn is the one to test on.

    Each row once, told apart by a name or a positive number: training rows are those of the other domains, and nothing
    of the one left out (domain generalisation). Each row twice, as `double_domains` makes it, k as a source's and -k as
    a target's: training rows are those of the other domains as sources and those of the one left out as the target.

    Args
        test_size: part in (0, 1) of the rows of the domain left out that are tested on and kept out of adaptation;
            None: all of them are adapted to and tested on (transductive)
        random_state: int, RandomState or None, of test_size

    Example
        X2, y2, d = double_domains(X, y, names)
        cross_validate(AdaptationClassifier("coral", target_labels="ignore"), X2, y2, cv=LeaveOneDomainOut(),
        params={"sample_domain": d})
    """

    def __init__(
        self, *, test_size: float | None = None, random_state: int | np.random.RandomState | None = None
    ) -> None:
        self.test_size = test_size
        self.random_state = random_state

    def split(
        self, X: Any, y: Any = None, sample_domain: ArrayLike | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        domain = self._need(sample_domain)
        rng = check_random_state(self.random_state)
        for name in self._left_out(domain):
            if self._is_signed(domain):
                own = np.flatnonzero(domain == -name)
                others = np.flatnonzero((domain > 0) & (domain != name))
            else:
                own, others = np.flatnonzero(domain == name), np.flatnonzero(domain != name)
            held = own
            if self.test_size is not None:
                _, size = _validate_shuffle_split(len(own), self.test_size, None)
                held = np.sort(rng.permutation(own)[:size])
            seen = own if self.test_size is None else np.setdiff1d(own, held)
            yield (np.sort(np.concatenate([others, seen])) if self._is_signed(domain) else others), held

    def get_n_splits(self, X: Any = None, y: Any = None, sample_domain: ArrayLike | None = None) -> int:
        """One per domain."""
        return len(self._left_out(self._need(sample_domain)))

    @staticmethod
    def _is_signed(domain: np.ndarray) -> bool:
        return domain.dtype.kind in "if" and bool((domain < 0).any())

    def _left_out(self, domain: np.ndarray) -> list[Any]:
        if self._is_signed(domain):
            read_domains(domain)
            names = np.unique(-domain[domain < 0])
            alone = [k for k in names.tolist() if not ((domain > 0) & (domain != k)).any()]
            if alone:
                raise ValueError(f"domain {alone[0]} has no other as a source; give at least 2 (double_domains)")
            return list(names.tolist())
        names = np.unique(domain)
        if len(names) < 2:
            raise ValueError(f"sample_domain names 1 domain, {names.tolist()[0]!r}; leaving one out needs at least 2")
        return list(names.tolist())
