"""How good are the rules? They are run over labelled logs, and what they say is counted."""
