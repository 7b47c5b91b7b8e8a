"""Numbers read off twelve sensors under four shifts whose right answers are known; made by dalib itself."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="mini_shifts",
    title="Two numbers read off twelve sensors: an offset, gains, a rotation and rare rows, with known answers",
    kind="features",
    domains=("calm", "offset", "gains", "turned", "rare"),
    classes=("sum", "bend"),
    counts={"calm": 500, "offset": 500, "gains": 500, "turned": 500, "rare": 500},
    source="made by dalib (leave the root out)",
    licence="Apache-2.0, as dalib",
    objective="regression",
    generator="dalib.datasets._tables:write_mini_shifts",
)
