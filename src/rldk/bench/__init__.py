"""How good are the rules? They run over labelled logs, and their findings are counted."""
