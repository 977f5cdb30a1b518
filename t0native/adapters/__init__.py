"""Adapters: small tensors beside a model's. Reading and writing them in the files of PEFT and T-Few, without a model's weights."""
