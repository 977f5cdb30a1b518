"""The command line: `t0native VERB`."""
