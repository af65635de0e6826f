"""Training: networks, losses, stages and export in PyTorch. Nothing of the runtime imports it."""
