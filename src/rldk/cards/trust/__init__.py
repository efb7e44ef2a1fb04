"""Trust cards: one page about one question, with what was checked, what was not, and what it rests on."""
