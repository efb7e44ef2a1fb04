"""Seeds: `rldk.utils.seed`."""
