"""Settings of the worker, the locator and the module: one table, read alike by the host's interpreter and ours.

Everything here is standard library and Python 3.8, since it runs under the host's interpreter too.
"""
