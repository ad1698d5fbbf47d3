"""Reports for people: figures."""
