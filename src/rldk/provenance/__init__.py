"""Where a run came from: its code, its packages, its environment. Nothing here is a secret when it leaves."""
