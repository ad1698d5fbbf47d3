"""One network for any stations: evidence of P and S at each station, migrated with travel times to a location.

A small network that all stations share turns the three components of a station into evidence of P and of S at each
time; travel times from trial hypocentres carry it to a place and an origin time. The whole is trained end to end on
theoretical events of random networks in random earth models.
"""
