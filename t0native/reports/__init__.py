"""Reports: cells and summaries, statistics, tables, figures, pages, published figures."""
