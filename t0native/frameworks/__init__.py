"""The model in the places that other frameworks have for one."""
