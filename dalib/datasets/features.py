"""Your own features: `features:PATH.npz` holding <domain>_x (n, d) and <domain>_y (n,) for each domain."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="features",
    title="Feature vectors of any kind from one .npz: features:PATH.npz",
    kind="features",
    source="your own file",
    licence="yours",
)
