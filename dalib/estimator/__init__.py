"""The scikit-learn face of the same algorithms: arrays in, labels, numbers, rows or weights out."""

from dalib.estimator.classifier import AdaptationClassifier as AdaptationClassifier
from dalib.estimator.domains import double_domains as double_domains
from dalib.estimator.domains import sign_domains as sign_domains
from dalib.estimator.regressor import AdaptationRegressor as AdaptationRegressor
from dalib.estimator.scorers import make_scorer as make_scorer
from dalib.estimator.scorers import target_scorer as target_scorer
from dalib.estimator.splitters import LeaveOneDomainOut as LeaveOneDomainOut
from dalib.estimator.splitters import SourceTargetShuffleSplit as SourceTargetShuffleSplit
from dalib.estimator.tradaboost import TrAdaBoost as TrAdaBoost
from dalib.estimator.transformer import AdaptationTransformer as AdaptationTransformer
from dalib.estimator.weighted import WeightedEstimator as WeightedEstimator
