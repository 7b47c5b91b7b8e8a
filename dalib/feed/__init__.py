"""From a Domain to batches: stores, streams, augmentation, device placement, embeddings."""
