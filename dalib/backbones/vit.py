"""Vision transformer ViT-B/16 (Dosovitskiy et al. 2021); 768 features of the class token, input 224 x 224 only."""

from __future__ import annotations

from torch import nn

from dalib.backbones._torchvision import create_model, finish
from dalib.core.backbone import Backbone, Preprocess

NAMES = ("vit_b_16",)


def build(name: str, weights: str) -> Backbone:
    """Groups: embedding (patches, class token, positions), the twelve encoder blocks, the last norm."""
    model = create_model(name)
    model.heads = nn.Identity()
    tokens = nn.ParameterList([model.class_token, model.encoder.pos_embedding])
    groups = [nn.ModuleList([model.conv_proj, tokens]), *model.encoder.layers, model.encoder.ln]
    backbone = finish(name, weights, model, dim=model.hidden_dim, groups=groups, head="heads.")
    backbone.preprocess = Preprocess(256, 224, fixed=True)
    return backbone
