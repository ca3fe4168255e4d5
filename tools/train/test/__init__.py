"""Run with `python3 -m unittest discover -s train/test -t .` in the folder above the package; about half a minute."""
