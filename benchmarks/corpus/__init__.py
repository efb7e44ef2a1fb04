"""Labelled runs from real small trainings, healthy and broken, to set thresholds on."""
