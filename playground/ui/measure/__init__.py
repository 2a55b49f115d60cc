"""The page on which checkpoints are measured on somebody's own data set."""
