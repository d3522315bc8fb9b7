"""The command line: one module a group of commands. What is heavy is imported inside the commands that need it."""
