"""
Hostile input against the real program, and one judge over how it ends.

``python -m benchmarks.fuzz`` tries random command lines, mutated files, odd environments and the
small files of ``tests/corpus``; ``--replay`` runs one reproduction again. POSIX only: a case is a
fork, so that a crash, a hang or a changed working folder stays its own.
"""
