"""ImageNet-Sketch: the 1000 classes of ImageNet as drawings."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="imagenet_sketch",
    title="ImageNet-Sketch (Wang et al., NeurIPS 2019): drawings of ImageNet's 1000 classes; ImageNet as source",
    domains=("imagenet", "sketch"),
    class_count=1000,
    counts={"sketch": 50889},  # stated, not tried: tensorflow/datasets, docs/catalog/imagenet_sketch.md (00be590)
    source="https://github.com/HaohanWang/ImageNet-Sketch, and ImageNet's folder train as imagenet (image-net.org)",
    licence="none stated where its layout was read; ImageNet is for research",
    paper="wang2019learning",
    class_aliases={"train": "imagenet"},
    by_hand="lay ImageNet's train and ImageNet-Sketch's sketch side by side, class folders n01440764 … in both "
    "(thuml/Transfer-Learning-Library, imagenet_sketch.py, c4aa59e)",
)
