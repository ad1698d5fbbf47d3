"""Tests of networks in conditions that they were not made for, as in the supplement of Zhang et al. (2020)."""
