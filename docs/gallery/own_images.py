"""
Pictures of your own
====================

A folder per domain, in it a folder per class: ``photos/catalogue/mug/*.jpg``. The domain to work on needs no
class folders.
"""

# %%
# Drawn pictures stand for yours here. Their webcam folder loses its classes, as if nobody had sorted it.
import shutil
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image

import dalib

drawn, photos, truth = dalib.load_data("mini_office").root, Path(tempfile.mkdtemp()) / "photos", {}
for kind in ("back_pack", "bike", "bottle", "calculator", "headphones", "mug", "printer", "scissors"):
    shutil.copytree(drawn / "amazon" / kind, photos / "catalogue" / kind)
    for picture in sorted((drawn / "webcam" / kind).iterdir()):
        name = f"frame_{len(truth):03d}.jpg"
        (photos / "webcam").mkdir(exist_ok=True)
        shutil.copy(picture, photos / "webcam" / name)
        truth[name] = kind
print(*dalib.load_data("image_folder", photos).remarks, sep="\n")

# %%
# Anything unreadable, empty or twice there would be named:
print(dalib.verify(photos))

# %%
# Train on the catalogue, adapt to the unsorted pictures, and say what is on them.
tiny = {"name": "tiny", "frozen": True}
run = dalib.fit("image_folder", "catalogue", "webcam", "mcc", root=photos, backbone=tiny)
answers = dalib.predict(run.fitted, photos / "webcam").frame()
print(answers.head())

# %%
# What it says of the first pictures of some classes; below, what they are.
figure, panels = plt.subplots(2, 6, figsize=(9, 3.6), layout="constrained")
for panel, (_, answer) in zip(panels.flat, answers.iloc[:: len(answers) // 12].iterrows(), strict=False):
    panel.imshow(Image.open(photos / "webcam" / Path(answer["file"]).name))
    right = truth[Path(answer["file"]).name] == answer["class"]
    panel.set_title(answer["class"], fontsize=8, color="black" if right else "#c44e00")
    panel.set_xlabel(truth[Path(answer["file"]).name], fontsize=8)
    panel.set(xticks=[], yticks=[])
