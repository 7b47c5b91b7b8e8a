"""What a comparison table may claim: intervals over seeds, ranks and tests over tasks.

Scores of one method are an array (num_runs, num_tasks), seeds by tasks, higher is better unless `compare` is told
otherwise; several methods are a dict {name: array}.
"""

from dalib.report.statistics.aggregates import average_ranks, iqm, mean, median
from dalib.report.statistics.comparison import Comparison, compare
from dalib.report.statistics.critical_difference import cliques, nemenyi_critical_difference
from dalib.report.statistics.diagram import draw_critical_difference
from dalib.report.statistics.improvement import Improvement, probability_of_improvement
from dalib.report.statistics.intervals import Interval, difference_interval, mean_interval, stratified_bootstrap
from dalib.report.statistics.tests_over_tasks import Friedman, Wilcoxon, friedman, holm, smallest_p, wilcoxon_exact

__all__ = [
    "Comparison",
    "Friedman",
    "Improvement",
    "Interval",
    "Wilcoxon",
    "average_ranks",
    "cliques",
    "compare",
    "difference_interval",
    "draw_critical_difference",
    "friedman",
    "holm",
    "iqm",
    "mean",
    "mean_interval",
    "median",
    "nemenyi_critical_difference",
    "probability_of_improvement",
    "smallest_p",
    "stratified_bootstrap",
    "wilcoxon_exact",
]
