"""Location with any stations: evidence of P and S at each of them, migrated with travel times, coarse to fine."""
