"""Sharper masks: boxes and points of a picture to outlines, by SAM 2.1 or EdgeTAM."""
