"""What runs under the host's interpreter: the module and the RecordStream helper. Python 3.8, no ObsPy."""
