"""mini_attributes: what is told of a picture is what was drawn."""

from __future__ import annotations

import numpy as np

from dalib.data.catalog import load_data
from dalib.datasets.drawing import CLASSES, COUNTS, draw
from dalib.datasets.drawing.attributes import ATTRIBUTE_COUNTS, ATTRIBUTES, PLACES, tell, write_mini_attributes
from dalib.datasets.drawing.objects import OBJECTS
from dalib.datasets.drawing.palette import FAMILIES, Palette
from dalib.datasets.drawing.render import generator


def test_the_colour_told_is_the_family_of_the_main_colour_that_was_drawn() -> None:
    for cls in CLASSES[::5]:
        for index in range(4):
            told = dict(zip(ATTRIBUTES, tell(cls, "amazon", index), strict=True))
            main = Palette.draw(OBJECTS[cls].palette, generator(0, cls, "amazon", index)).slots["a"]
            family = next(name for name in FAMILIES if told[name])
            assert min(np.abs(np.subtract(main, colour)).max() for colour in FAMILIES[family]) < 45
            assert sum(told[name] for name in FAMILIES) == 1
            assert told["electronics"] + told["furniture"] + told["stationery"] == 1
            assert told["lying"] == OBJECTS[cls].lying and told["turned"] != OBJECTS[cls].mirror


def test_the_same_thing_keeps_its_attributes_in_both_cameras() -> None:
    assert all(tell(cls, "dslr", i) == tell(cls, "webcam", i) for cls in CLASSES for i in range(5))


def test_the_set_is_mini_offices_pictures_with_a_table(tmp_path) -> None:
    counts = {"dslr": [1] * len(CLASSES), "webcam": [1] * len(CLASSES)}
    write_mini_attributes(tmp_path / "set", counts=counts)
    data = load_data("mini_attributes", tmp_path / "set", partial=True)
    assert data.objective == "multilabel" and data.classes == ATTRIBUTES and data.counts == {"dslr": 31, "webcam": 31}
    rows = data.domain("webcam", 96)
    where = {name: i for i, name in enumerate(rows.files)}
    for cls in (CLASSES[3], CLASSES[20]):
        row = where[f"webcam/{cls}/frame_0001.jpg"]
        assert rows.labels[row].tolist() == list(tell(cls, "webcam", 0))
        difference = np.asarray(rows.x)[row].transpose(1, 2, 0).astype(int) - draw(cls, "webcam", 0)
        assert np.abs(difference).mean() < 8


def test_night_shows_other_things_than_amazon_as_often_and_in_the_dark() -> None:
    assert ATTRIBUTE_COUNTS["night"] == ATTRIBUTE_COUNTS["amazon"] == COUNTS["amazon"]
    told = [tell("mug", "night", i) for i in range(12)]
    assert len(set(told)) > 1 and told != [tell("mug", "amazon", i) for i in range(12)]
    night, day = (np.mean([draw("mug", place, i, 0, PLACES[place]) for i in range(6)]) for place in ("night", "dslr"))
    assert night < 0.6 * day
