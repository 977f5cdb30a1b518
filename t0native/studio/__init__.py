"""The prompt studio: where a group writes, reviews and exports prompts, in a browser. `t0native studio --data DIR` opens it.

    store.py      prompts with every revision, reviews, comments, log: one sqlite file
    exchange.py   P3's files in and out
    rowfiles.py   rows to try prompts on
    workers.py, renderer.py    previews in processes of their own, with limits
    accounts.py, security.py   who may do what; what a request must bring
    app.py        the application; pages_*.py its pages; server.py what serves them

Flask and waitress are needed for the pages (pip install flask waitress); store, exchange, data and previews work without them."""
