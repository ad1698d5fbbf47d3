"""Training of models for seiscomp_dlloc: theoretical seismograms, data sets, networks, export.

Importing the package imports nothing heavy; import the modules that are needed.
"""

__version__ = "0.1.0"
