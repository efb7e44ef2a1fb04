"""Tables as people and tools write them: in one JSON document, in Arrow files, in folders, several answers in a row."""
