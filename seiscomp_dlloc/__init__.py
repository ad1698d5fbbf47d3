"""Deep-learning earthquake locator for SeisComP and ObsPy.

Importing the package itself imports nothing heavy: ObsPy, NumPy and onnxruntime load with the modules that need
them.
"""

__version__ = "0.1.0"
