"""Seismograms of SPECFEM3D Cartesian, both ways: one run per event, and reciprocal runs per station.

Written after the files that version 4.1.1 reads and writes (Komatitsch & Tromp 1999, GJI 139, 806; the manual of
SPECFEM3D Cartesian, chapters on sources, receivers and output).
"""
