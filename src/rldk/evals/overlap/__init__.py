"""Texts of an evaluation that stand in the training data, found in bounded memory."""
