"""
The shared manners of connectors whose system is a file or a folder of files: how it is read, looked up and replaced.

A kind of file (`connectors.csv`, `connectors.jsonl`) says in a `Layout` how its records are written; everything else is
here: encodings (`text`), the disk (`disk`), ids (`ids`), the index of a file (`index`), a batch of changes (`batch`).
"""
