"""Learn a prompt for each domain: the text tower's answer to it is the classifier, the pictures' features stay."""

from torch import Tensor

from dalib.algorithms._prompts import PromptClassifier
from dalib.core.algorithm import Terms
from dalib.core.hyper import positive, whole
from dalib.core.types import Source, Target
from dalib.nn.prompts import confident_cross_entropy


class DAPL(PromptClassifier):
    """Domain adaptation via prompt learning, on a backbone with a text tower; both towers stay as they are.

    loss = CE(scale cos(z_s, t^s), y_s) + weight * mean_{i: max q_i >= threshold} CE(scale cos(z_t, t^t)_i, argmax q_i)
    t^d_k = text([v_k1 .. v_kM][u_d1 .. u_dN] name_k, a name_d image..),  q = softmax(scale cos(z_t, t_k) / temperature)
    v: learnt, of a class; u: learnt, of a domain; t_k = text(a photo of a name_k.). Predictions are those of t^t.

    Shapes
        z (B, d), t (K, d); v (K, M, e), u (2, N, e)
    Raises
        DalibError: a backbone without a text tower, a bottleneck, prompts longer than the tower reads
    Reference
        Ge et al. Domain Adaptation via Prompt Learning. 2022. arXiv:2202.06687; formula, sentences, defaults and rate
        are those of the authors' code (ep25-32-csc): each softmax is over the K prompts of one domain, v of each class.
        Departures: 0 where no row is sure (0/0 there); the recipe's batches, schedule and crops; all sources share one
        prompt.
    """

    family = "zero-shot"
    paper = "ge2022dapl"
    weight: float = positive(default=1.0, zero=True, search=(0.3, 1.0, 3.0), doc="trade-off of the target's term")
    threshold: float = positive(default=0.5, zero=True, most=1, search=(0.4, 0.5, 0.6), doc="of a pseudo-label's q")
    temperature: float = positive(default=1.0, doc="divides the logits of q")
    context: int = whole(default=16, doc="vectors of each class, M")
    domain_context: int = whole(default=16, doc="vectors of each domain, N")

    def sentences(self, source: str, target: str) -> tuple[str, str]:
        return f"{{}} , a {source} image..", f"{{}} , a {target} image.."

    def supervise(self, source: Source) -> Tensor:
        return self.objective.loss(self.compare(source.z, self.encode_prompts(0)), source.y)

    def adapt(self, source: Source, target: Target, progress: float | Tensor) -> Terms:
        q = (self.compare(target.z, self.photo).detach() / self.temperature).softmax(1)
        logits = self.compare(target.z, self.encode_prompts(1))
        return {"pseudo_label": self.weight * confident_cross_entropy(logits, q, self.threshold)}
