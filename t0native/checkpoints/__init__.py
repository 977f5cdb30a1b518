"""Checkpoints: a model's shape, tensor files of every format, the hub, conversion, sizes in memory."""
