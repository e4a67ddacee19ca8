"""Public implementations, judged one by one, each in a process of its own; the page that says what came of it.

`hsproj-verify peers` is its command.
"""
