"""One experiment, one TOML file: what is made, trained, measured and exported, and with what seed."""
