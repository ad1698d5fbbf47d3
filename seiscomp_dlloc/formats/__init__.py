"""Documents in and out: triggered origins, inventories, QuakeML and SCML solutions.

Units change here and nowhere else: lengths are km inside the package, QuakeML has metres and degrees, SCML km.
"""
