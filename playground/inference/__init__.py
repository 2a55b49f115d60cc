"""Florence-2's forward pass for inference: the weights of transformers' model, and fewer steps between them."""
