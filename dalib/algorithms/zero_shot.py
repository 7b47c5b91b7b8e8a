"""No training at all: pictures are compared with class names, by a text tower or through a pretrained classifier."""

from torch import Tensor

from dalib.algorithms._class_names import kept_reader, make_reader, read
from dalib.core.algorithm import TrainerLike
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.hyper import positive, state, text, whole
from dalib.core.text_tower import check_prompts
from dalib.core.texts import SENTENCES, SPELLING, settle_encoder
from dalib.core.types import Domain


class ZeroShot(FeatureAlgorithm):
    """CLIP's zero-shot where the backbone has a text tower, else ConSE: no label is read and no weight is trained.

    CLIP: logits_k = scale * cos(z, t_k),  t_k = n(mean_j n(text(prompt_j(k)))), n(v) = v / |v|; scale: as it was learnt
    ConSE, convex combination of semantic embeddings:
    logits_k = cos(f, s_k) / temperature,  f = sum_t p_t s_t / sum_t p_t over the `top` classes t of the pretrained head
    p = softmax of that head's logits, s = vectors of the names of its classes and of those asked for

    Shapes
        z (n, d), t (K, d); f (n, e), s (K, e)
    Raises
        DalibError: neither text tower nor classifier, a classifier whose classes have no names, a name that nobody
            knows, a setting of the one beside the other
    Reference
        Radford et al. Learning Transferable Visual Models From Natural Language Supervision. ICML 2021.
        arXiv:2103.00020; ensemble and its seven prompts as in the authors' notebook.
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
    prompts: str = text(
        default="ensemble", last=True,
        doc="of a text tower: `photo` (one), `ensemble` (seven), or a sentence with {} in the class's place",
    )  # fmt: skip
    head_weight: Tensor = state()
    head_bias: Tensor = state()
    known_names: Tensor = state()
    asked_names: Tensor = state()
    text_features: Tensor = state()
    logit_scale: Tensor = state()

    def check(self) -> None:
        super().check()
        check_prompts(self.prompts)

    def fit(self, trainer: TrainerLike, source: Domain, target: Domain) -> None:
        for name, value in make_reader(self, source.classes, self.encoder, self.prompts).items():
            self.register_buffer(name, value)

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.network.embed(x).double()
        return z, read(kept_reader(self), z, self.top, self.temperature)
