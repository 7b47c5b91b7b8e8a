"""Amazon reviews: praise and blame of books, DVDs, electronics and kitchenware, as features of words."""

from dalib.core.dataset import DatasetInfo, Download

DATASET = DatasetInfo(
    name="amazon_reviews",
    title="Amazon reviews (Blitzer et al., ACL 2007): 2 classes, 4 domains, features of words",
    kind="features",
    domains=("books", "dvd", "elec", "kitchen"),
    class_count=2,
    # stated, not tried: scikit-adaptation/skada, skada/datasets/tests/test_amazon_review.py (46bc3db)
    counts={"books": 2000, "dvd": 1999, "elec": 1998, "kitchen": 1999},
    source="https://github.com/jindongwang/transferlearning (data/dataset.md, f951df1)",
    licence="none stated where its address was read",
    paper="blitzer2007biographies",
    class_aliases={
        "electronics": "elec",
        "books_400": "books",
        "dvd_400": "dvd",
        "elec_400": "elec",
        "kitchen_400": "kitchen",
    },
    downloads=(
        Download(
            "amazon_review.zip",
            ("https://figshare.com/ndownloader/files/46003500",),
            "scikit-adaptation/skada, skada/datasets/_amazon_review.py (46bc3db)",
            digest="sha256:a37a9702d44edcc5b6c6a8060f6f61b36f32d9127233ee6951eaf691c08ee4fb",
            by_hand="or fetch https://wjdcloud.blob.core.windows.net/dataset/amazon_review.zip (the source's), unpack "
            "it, and make one file: dalib data pack books_400.mat dvd_400.mat elec_400.mat kitchen_400.mat --out "
            "amazon_reviews.npz",
        ),
    ),
    packed="*_400.mat",
)
