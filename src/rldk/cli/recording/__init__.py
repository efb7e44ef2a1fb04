"""The commands that record what a run stands on, show it again, and bring it back."""
