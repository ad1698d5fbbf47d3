"""An experiment's file for tests, and processes that can be interrupted."""

import signal


def heed_interrupts() -> None:
    """For a process to be: jobs in the background of a shell are started with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


TEXT = """
name = "small"
seed = 3
[network]
stations = [
  {code = "XX.A", latitude = 35.20, longitude = 139.00, elevation_m = 800.0},
  {code = "XX.B", latitude = 35.25, longitude = 139.05, elevation_m = 400.0},
]
[earth]
layers = [[2.0, 4.0, 2.3, 2.4, 200, 100], [0.0, 6.0, 3.5, 2.7, 400, 200]]
models = 3
[region]
south = 35.19
north = 35.27
west = 138.97
east = 139.05
top_km = 0.0
bottom_km = 6.0
[events]
grid = {spacing_deg = 0.02, spacing_depth_km = 2.0, per_node = 2}
off_node = 10
magnitude = [2.2, 4.5]
mechanism = {strike_deg = 10, dip_deg = 80, rake_deg = 0}
[records]
sampling_rate_hz = 50.0
duration_s = 20.0
"""
