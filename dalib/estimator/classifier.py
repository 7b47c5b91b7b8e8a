"""Any algorithm as a scikit-learn classifier."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from dalib.core.algorithm import Algorithm
from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.types import name_unknown
from dalib.data.given import Rows, read_labels
from dalib.data.oddities import warn_of_absent, warn_of_source_rows
from dalib.estimator.base import MANY, AdaptationEstimator, has_behind
from dalib.estimator.domains import find_labelled
from dalib.nn.classifiers import nearest_temperature


def _is_nearest(algorithm: Algorithm) -> bool:
    """It answers by the nearest of the rows that it moved."""
    return (
        isinstance(algorithm, FeatureAlgorithm)
        and algorithm.classifier == "nearest"
        and type(algorithm).fit is FeatureAlgorithm.fit
    )


class AdaptationClassifier(ClassifierMixin, AdaptationEstimator):
    """Any algorithm as a scikit-learn classifier on arrays: features, or whatever a backbone takes.

    Args
        algorithm: an Algorithm, or the name of one; it is copied, never changed. None = SourceOnly(), which needs more
            steps than the default on small tables: LinearProbe() or CORAL() are solved exactly. Its hyper-parameters
            are `algorithm__weight` … in set_params and GridSearchCV
        estimator: what classifies the rows that the method moves or weighs, any classifier of scikit-learn's kind; it
            is cloned. None: the method's own. For methods that are solved, on features (CORAL, OTMap, KMM …)
        backbone: what turns rows into features: the name of one that is built to fit (`mlp`, `cnn1d`,
            `text_transformer`, `modalities` …), a Backbone, or any module; it is copied, never changed. None: rows are
            features (n, d). With one, X may be time series (n, C, T), token ids (n, L), uint8 images (n, 3, R, R), or
            several modalities {name: array}; a module takes rows (n, *S) of any kind, whatever their channels
        train: TrainConfig, or a dictionary of its fields, or None; what it leaves open is the backbone's recipe
        standardise: subtract the mean and divide by the standard deviation, each domain by its own; rows to predict are
            taken for target rows, so they get those of the target seen in fit
        target_labels: labels of target rows in y: `use` learns from them, `ignore` hides them; None: those of rows that
            have one are used where others are marked -1, and refused where every target row has one
        random_state: int, numpy RandomState or None (a fresh seed)
        device: `auto`, `cpu`, `cuda`

    Attributes
        classes_ (K,), with `estimator` those of rows of weight > 0, n_features_in_ (tables), fitted_ (`Fitted`),
        moments_ (mean and deviation of the target, if standardised), unknown_ (what rows of no known class are called,
        of methods that reject: OSBP); with `estimator` instead of fitted_: estimator_ and mapping_

    Two ways to give the domains: source and target apart, `fit(X_s, y_s, X_t)`, or one table with `sample_domain`. With
    `sklearn.set_config(enable_metadata_routing=True)` both pass through a Pipeline: make_pipeline(StandardScaler(),
    AdaptationClassifier("coral")).fit(X, y, sample_domain=d), or with transform_input=["X_target"] and
    fit(X_s, y_s, X_target=X_t). A Pipeline without them transforms X only.

    Every row to predict is taken for a row of the target. `score` on held-out rows of the source, which is what
    cross_val_score and GridSearchCV compute, is therefore wrong for methods that move rows and picks those that do not
    (a warning says so); choose by `scoring=target_scorer(X_target)` instead.

    Example
        AdaptationClassifier(DANN()).fit(X_s, y_s, X_t).predict(X_t)
        AdaptationClassifier(CORAL(), estimator=RandomForestClassifier()).fit(X, y, sample_domain=d).predict(X_t)
    """

    def fit(
        self,
        X: Rows,
        y: ArrayLike,
        X_target: Rows | None = None,
        y_target: ArrayLike | None = None,
        sample_domain: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> AdaptationClassifier:
        """Fit on labelled rows of a source and on rows of a target, few of which, or none, have a label.

        Args
            X: (n_s, d), or rows as the backbone takes them; with sample_domain source and target rows in any order
            y: labels of X; of target rows -1, None or NaN where there is none
            X_target: rows of the target; None = X
            y_target: labels of X_target, -1, None or NaN where there is none
            sample_domain: (n,) whose row it is: whole numbers, k for the k-th source and negative for the target;
                booleans, True for the target; or the words `source` and `target`
            sample_weight: (n,) >= 0, what rows of X count in the classifier's loss; networks draw rows in proportion to
                it. Where the method moves rows to, it does not change; rows of weight 0 are left out
        """
        given = self._read(X, y, X_target, y_target, sample_domain, sample_weight)
        y_s = column_or_1d(given.y_s if sample_domain is None else read_labels(given.y_s))
        check_classification_targets(y_s)
        self.classes_, labels = np.unique(y_s, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds 1 class ({self.classes_.tolist()[0]!r}); a classifier needs at least 2")
        few = np.zeros(len(given.x_t), bool)
        if given.y_t is not None and given.y_t.ndim == 2 and given.y_t.shape[1] == 1:
            given = replace(given, y_t=given.y_t[:, 0])
        if given.y_t is not None:
            few = self._find_labelled(given.y_t, "use" if X_target is not None else None)
        told = self.classes_[:0] if given.y_t is None else given.y_t[few].astype(self.classes_.dtype)
        y_few = np.searchsorted(self.classes_, told)
        values = self.classes_[np.concatenate([labels, y_few])]
        names = tuple(map(str, self.classes_))
        x_s, labels, x_t = self._solve(given, labels.astype(np.int64), few, y_few.astype(np.int64), names, values)
        if self.estimator is not None:
            # a class of which all rows have weight 0 is none of the estimator's, whose columns these are
            self.classes_ = getattr(self.estimator_, "classes_", self.classes_)
            return self
        if self.fitted_.algorithm.rejects:
            self.unknown_ = self._name_unknown()
        self._warn_of_underfitting(x_s, labels)
        if len(x_t) <= MANY and not given.bare:
            answers = self.fitted_.outputs(self._domain("X_target", x_t, None)).logits.argmax(1).numpy()
            warn_of_absent(labels, answers, self.classes_.tolist())
        return self

    def _find_labelled(self, y_t: np.ndarray, otherwise: str | None) -> np.ndarray:
        """Target rows whose labels are learned from; `otherwise`: what counts where target_labels says nothing."""
        return find_labelled(y_t, self.classes_, self.target_labels or otherwise)

    @available_if(has_behind("decision_function"))
    def decision_function(self, X: Rows) -> np.ndarray:
        """Logits (n, K), or what the estimator behind says; for two classes (n,), as scikit-learn wants it."""
        if self.estimator is not None:
            return np.asarray(self._behind_of(X).decision_function(self._behind(X)))
        logits = self._logits(X)[:, : len(self.classes_)]
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    @property
    def predict_proba(self) -> Callable[[Rows], np.ndarray]:
        """Class probabilities (n, K); of a method that rejects rows, what is missing to 1 is that of `unknown_`.

        Of nearest neighbours they are a softmax of distances, whose temperature the source rows, moved as the method
        moves them and left out one by one, make likeliest. Methods whose scores are regressions or margins (MEDA, JDOT,
        EasyTL, classifier = "svm") have none, as with other classifiers of scikit-learn: AttributeError;
        `decision_function` is there.
        """
        if self.estimator is not None:
            if not hasattr(self._final(), "predict_proba"):
                raise AttributeError(f"{type(self.estimator).__name__} gives no probabilities")
            return self._predict_proba
        try:
            algorithm = self._copy()
            if not _is_nearest(algorithm):
                algorithm.need_probabilities("predict_proba")
        except TypeError:  # no algorithm at all: fit says so
            return self._predict_proba
        except DalibError as error:
            raise AttributeError(f"{error}; decision_function and predict are there") from None
        return self._predict_proba

    def _predict_proba(self, X: Rows) -> np.ndarray:
        if self.estimator is not None:
            return np.asarray(self._behind_of(X).predict_proba(self._behind(X)))
        logits, algorithm = torch.as_tensor(self._logits(X)).double(), self._fitted().algorithm
        if _is_nearest(algorithm):
            known = dict(algorithm.named_buffers())
            logits = logits / nearest_temperature(known["classifier_rows"], known["classifier_labels"])
        p = logits.softmax(1)
        return p[:, : len(self.classes_)].numpy()

    def score(self, X: Rows, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy on labelled rows, which are taken for rows of the target; a warning where they look like X of fit.

        cross_val_score and GridSearchCV score held-out rows of X by default: choose by `scoring=target_scorer(…)`.
        """
        check_is_fitted(self)
        if not self._moves_rows():
            warn_of_source_rows(self._rows(X), self._moments)
        return float(super().score(X, y, sample_weight))

    def predict(self, X: Rows) -> np.ndarray:
        """Labels (n,)."""
        if self.estimator is not None:
            return np.asarray(self._behind_of(X).predict(self._behind(X)))
        winner, known = self._logits(X).argmax(1), len(self.classes_)
        labels = self.classes_[np.minimum(winner, known - 1)]
        if (winner < known).all():
            return labels
        wide = labels.astype(object) if labels.dtype.kind in "USO" else labels.astype(np.int64)
        wide[winner == known] = self.unknown_
        return np.asarray(wide)

    def _logits(self, X: Rows, mixed: bool = True) -> np.ndarray:
        check_is_fitted(self)
        if mixed and self._moves_rows():
            warn_of_source_rows(self._rows(X), self._moments)
        return self._outputs(X).logits.numpy()

    def _names(self) -> tuple[str, ...]:
        return tuple(map(str, self.classes_))

    def _name_unknown(self) -> Any:
        """What rows of no known class are called: `unknown`, or for numbers -1, or one less than the least."""
        if self.classes_.dtype.kind in "USO":
            return name_unknown(self.classes_.astype(str).tolist())
        return min(-1, int(np.floor(self.classes_.astype(float).min())) - 1)

    def _warn_of_underfitting(self, x_s: np.ndarray, labels: np.ndarray) -> None:
        """The default recipe is short: a word where it has not even learnt the source."""
        algorithm = self.fitted_.algorithm
        if self.train is not None or isinstance(algorithm, FeatureAlgorithm) or len(x_s) > MANY:
            return
        guess = self.fitted_.outputs(self._domain("X", x_s, None)).logits.numpy().argmax(1)
        right = float((guess == labels).mean())
        if right < 0.8:
            warnings.warn(
                f"after the default {self.fitted_.config.steps} steps {right:.0%} of X's own rows are right; give more "
                "(train={'steps': 5000}), scale the columns (standardise=True) or take a method that is solved, "
                "such as LinearProbe() or CORAL()",
                UserWarning,
                stacklevel=3,
            )
