"""Puts the plugin into a SeisComP, takes it out again, and says what is wrong with it there."""
