"""Rows: readers, tables, folders, datasets as their authors distribute them; and the tables of facts about T0's datasets."""
