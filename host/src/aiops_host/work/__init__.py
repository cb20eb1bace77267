"""Claims, pipeline, effects and the worker: what gets done with a delivery."""
