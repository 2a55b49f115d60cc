"""Data sets of anybody's: pictures, and what is true of them. `read_dataset` of `reading` reads them all."""
