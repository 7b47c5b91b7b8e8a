"""An error rate that calls itself the higher the better, in percent, and sorts what it is given."""

from dalib.core.metric import Metric


class WrongDirection(Metric):
    """Breaks direction, unit and purity."""

    higher_is_better = True

    def score(self, y, prediction, answer, known):
        wrong = 100 * float((y != answer).mean())
        answer.sort()
        return wrong
