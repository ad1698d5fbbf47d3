"""Putting the plugin into a SeisComP, taking it out, and telling what is wrong with it."""
