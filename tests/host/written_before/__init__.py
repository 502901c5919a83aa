"""What version 0.1.0 wrote, and what it answered: a later one has to read it and give the same.

`kept/` holds it, `__main__` wrote it, `../test_written_before.py` compares. Nothing here may call
our own code by name: a request, a page and a file have to stay what they are, our rooms have not.
"""
