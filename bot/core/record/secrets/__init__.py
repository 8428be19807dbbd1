"""What a secret looks like, as tables: by its own form, by its name, in a command line, in a block of lines.

Any paste is read here, so every expression takes time in proportion to the text: repetitions are possessive (`*+`) or
have a small bound, and what begins a match is taken whole, secret or not, so that nothing is read twice. What Python
does for each secret is bounded by `marking.MOST`. tests/bench/test_bench_redact.py measures it on the worst texts.
"""
