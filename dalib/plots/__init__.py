"""Pictures for a paper: matplotlib Axes in, Axes out, in colours that colour-blind readers tell apart.

    figure, panels = plt.subplots(1, 2)
    dalib.plots.features(fitted, task, panels[0])
    dalib.plots.confusion(fitted, task, panels[1])

Without axes each makes a figure of its own: `dalib.plots.features(fitted, task).figure.savefig("z.pdf")`.
"""

from dalib.plots._comparison import critical_difference, intervals
from dalib.plots._confusion import confusion
from dalib.plots._curves import curves
from dalib.plots._features import features

__all__ = ["confusion", "critical_difference", "curves", "features", "intervals"]
