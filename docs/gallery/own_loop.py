"""
An algorithm in a training loop of your own
===========================================

The losses are plain functions of tensors (``dalib.nn``), and a whole algorithm with its discriminator or its
second head goes into a loop
through ``dalib.Loop``. Model, optimiser and data are yours.
"""

# %%
# Two half moons; the target's are turned.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import make_moons
from torch import nn

from dalib import DANN, Backbone, Loop, Network
from dalib.nn.discrepancy import mmd2

torch.manual_seed(0)
x_s, y_s = make_moons(600, noise=0.08, random_state=0)
x_t, y_t = make_moons(600, noise=0.08, random_state=1)
turn = np.deg2rad(35)
x_t = (x_t - x_t.mean(0)) @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + x_t.mean(0)
x_s, x_t = (torch.tensor(x, dtype=torch.float32) for x in (x_s, x_t))
y_s = torch.tensor(y_s)


# %%
# One loss, in a loop as you have it: cross-entropy on the source, and the distance of the features' distributions.
def train(weight):
    torch.manual_seed(0)
    body, head = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 8)), nn.Linear(8, 2)
    optimiser = torch.optim.Adam([*body.parameters(), *head.parameters()], lr=0.01)
    for _ in range(300):
        s, t = torch.randint(600, (128,)), torch.randint(600, (128,))
        z_s, z_t = body(x_s[s]), body(x_t[t])
        loss = nn.functional.cross_entropy(head(z_s), y_s[s]) + weight * mmd2(z_s, z_t)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return nn.Sequential(body, head)


# %%
# A whole algorithm: it is attached to a network and asked for its losses, phase by phase.
torch.manual_seed(0)
body = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 8))
dann = DANN(weight=0.3, hidden=16)
dann.attach(Network(Backbone("moons", body, dim=8), outputs=2, bottleneck=0))
loop = Loop(dann, torch.optim.Adam(dann.parameters(), lr=0.01))
for i in range(300):
    s, t = torch.randint(600, (128,)), torch.randint(600, (128,))
    terms = loop.step(x_s[s], y_s[s], x_t[t], progress=i / 300)
print({name: round(float(value), 3) for name, value in terms.items()})

# %%
# The border that each has learnt, with the target's points, coloured by the labels that none of them saw.
models = {"source only": train(0.0), "MMD": train(2.0), "DANN": lambda x: dann.network(x)[1]}
grid = np.stack(np.meshgrid(np.linspace(-2, 3, 120), np.linspace(-1.6, 2, 120)), -1)
figure, panels = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
for panel, (name, model) in zip(panels, models.items(), strict=True):
    with torch.no_grad():
        field = model(torch.tensor(grid.reshape(-1, 2), dtype=torch.float32)).softmax(1)[:, 1].reshape(120, 120)
        right = float((model(x_t).argmax(1).numpy() == y_t).mean())
    panel.contourf(grid[..., 0], grid[..., 1], field, levels=[0, 0.5, 1], colors=["#cfe4f3", "#f8dcc8"])
    panel.scatter(*x_t.T, c=np.where(y_t == 1, "#c44e00", "#0072b2"), s=5)
    panel.set_title(f"{name}: {right:.0%}")
    panel.set(xticks=[], yticks=[])
