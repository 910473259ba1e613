"""The settings of each stage, typed: one module a stage.

A study builds them while a Snakefile is parsed, so nothing here may import torch.
"""
