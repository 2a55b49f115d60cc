"""How fast the playground answers beside the plain transformers pipeline, on the same weights, picture and answer."""
