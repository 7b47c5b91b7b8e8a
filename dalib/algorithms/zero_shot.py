"""No training at all: the pretrained classifier's classes are turned into the data's by what their names mean."""

from torch import Tensor

from dalib.algorithms._class_names import READER, make_reader, read
from dalib.core.algorithm import FeatureAlgorithm, TrainerLike
from dalib.core.hyper import positive, state, text, whole
from dalib.core.texts import SENTENCES, SPELLING, settle_encoder
from dalib.core.types import Domain


class ZeroShot(FeatureAlgorithm):
    """ConSE, convex combination of semantic embeddings: no label is read and no weight is trained.

    logits_k = cos(f, s_k) / temperature,  f = sum_t p_t s_t / sum_t p_t over the `top` classes t of the pretrained head
    p = softmax of that head's logits, s = vectors of the names of its classes and of those asked for

    Shapes
        z (n, d); f (n, e), s (K, e)
    Raises
        DalibError: a backbone without its classifier, one whose classes have no names, a name that no encoder knows
    Reference
        Norouzi et al. Zero-Shot Learning by Convex Combination of Semantic Embeddings. ICLR 2014. arXiv:1312.5650.
        Departures: a sentence encoder in place of their word vectors; `temperature`, where probabilities are wanted;
        it changes no decision.
    """

    family = "zero-shot"
    setting = "source-free"
    paper = "norouzi2014conse"
    needs_head = True
    uses_target = False
    trial = {"encoder": SPELLING}
    classifier, C, k = "logistic", 1.0, 5
    top: int = whole(default=10, search=(1, 5, 10, 100), doc="classes of the pretrained head that are combined")
    encoder: str = text(
        default=SENTENCES, settle=settle_encoder, doc="of names: `minilm` (dalib[zero-shot]), `spelling`, or a folder"
    )
    temperature: float = positive(default=0.1, doc="divides the cosines", search=(0.05, 0.1, 0.2))
    head_weight: Tensor = state()
    head_bias: Tensor = state()
    known_names: Tensor = state()
    asked_names: Tensor = state()

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        for name, value in make_reader(self, source.classes, self.encoder).items():
            self.register_buffer(name, value)

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.network.embed(x).double()
        return z, read({name: getattr(self, name) for name in READER}, z, self.top, self.temperature)
