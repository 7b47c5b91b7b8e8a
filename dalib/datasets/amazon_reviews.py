"""Amazon reviews: praise and blame of books, DVDs, electronics and kitchenware, as features of words."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="amazon_reviews",
    title="Amazon reviews (Blitzer et al., ACL 2007): 2 classes, 4 domains, features of words",
    kind="features",
    domains=("books", "dvd", "elec", "kitchen"),
    class_count=2,
    source="https://github.com/jindongwang/transferlearning (data/dataset.md)",
    licence="none stated where its address was read",
    paper="blitzer2007biographies",
    class_aliases={
        "electronics": "elec",
        "books_400": "books",
        "dvd_400": "dvd",
        "elec_400": "elec",
        "kitchen_400": "kitchen",
    },
    by_hand="fetch https://wjdcloud.blob.core.windows.net/dataset/amazon_review.zip (jindongwang/transferlearning, "
    "data/dataset.md, f951df1) and make one file of its .mat files: dalib data pack books_400.mat dvd_400.mat "
    "elec_400.mat kitchen_400.mat --out amazon_reviews.npz",
)
