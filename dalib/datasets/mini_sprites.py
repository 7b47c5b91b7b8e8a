"""One drawn shape per picture: where it stands, how large and how turned are numbers to learn; needs no download."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="mini_sprites",
    title="Place, size and angle of drawn shapes on black, noise and a swirling sky, after dSprites",
    domains=("colour", "noise", "scream"),
    classes=("x", "y", "scale", "angle"),
    counts={"colour": 500, "noise": 500, "scream": 500},
    source="drawn by dalib (leave the root out)",
    licence="Apache-2.0, as dalib",
    objective="regression",
    generator="dalib.datasets.drawing.sprites:write_mini_sprites",
)
