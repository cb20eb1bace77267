"""The fault bench: deliveries go in while parts die, and what comes out is compared with what was acknowledged.

``python -m benchmarks.faults --help``. Its own module, never imported by the product.
"""
