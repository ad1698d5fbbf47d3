"""Networks that return hypocentral parameters, each in a file of its own; :mod:`.registry` builds them by name."""
