"""The ground: files, errors, arguments, progress, threads. Nothing of T0 is in it."""
