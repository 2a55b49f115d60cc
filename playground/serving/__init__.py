"""Past one process: replicas that hold a checkpoint each, on one machine or many, and the client that asks them.

The replicas are Ray Serve's. They are asked over HTTP, in JSON and bytes, so that whoever asks needs no Ray.
"""
