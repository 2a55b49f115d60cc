"""Pictures in: whatever comes, to upright sRGB pictures within limits."""
