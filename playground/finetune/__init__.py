"""Teach a checkpoint: from labeled pictures to a small adapter (LoRA) that is loaded on top of it."""
