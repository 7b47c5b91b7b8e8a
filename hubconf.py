"""For torch.hub: `torch.hub.load(REPOSITORY, "dalib_model", "model.safetensors")`, with a checkout as source="local".

A loaded model takes raw rows, images as uint8 (rows, 3, R, R), and gives logits, probabilities and labels; its `facts`
name the classes and the side R.
"""

dependencies = ["torch", "torchvision", "numpy", "scipy", "sklearn", "pandas", "ot", "pydantic", "safetensors", "PIL"]


def dalib_model(path, device="cpu"):
    """The model of a file that `dalib train --out` wrote, or of `hf:OWNER/NAME`, as a module with its preprocessing.

    path: of the file, or a repository that holds one model
    device: where it shall answer
    """
    from dalib.train.portable import open_portable

    if str(path).startswith("hf:"):
        import tempfile

        from dalib.sharing.repository import pull

        folder = tempfile.mkdtemp(prefix="dalib-")
        path = next(file for file in pull(path, folder) if file.suffix == ".safetensors")
    return open_portable(path).to(device)


def dalib_backbone(name, weights="none", **options):
    """A feature extractor of dalib by name, as a module: images as the network takes them -> features."""
    from dalib import load_backbone

    return load_backbone(name, weights, **options).module
