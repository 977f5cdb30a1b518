"""A hook of MkDocs. Links of pages to files outside docs/ (sources, recipes, notebooks) lead to the repository on the web where its
address is known (T0NATIVE_URL), and are plain names where it is not. In a search, pages that answer a question come before those that
list names."""

import os
import posixpath
import re

BOOST = {"how-to": 2, "concepts": 1.5, "migration": 1.5, "api": 0.5}  # of the pages of a folder, in a search
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(((?:\.\./)+[^)\s]+)\)")


def on_page_markdown(markdown, page, config, files):
    page.meta["search"] = {"boost": BOOST.get(page.file.src_uri.partition("/")[0], 1)}
    here = posixpath.join("docs", posixpath.dirname(page.file.src_uri))

    def outward(match):
        text, target = match.groups()
        place = posixpath.normpath(posixpath.join(here, target.partition("#")[0]))
        if place == "docs" or place.startswith("docs/"):
            return match[0]
        if not os.path.exists(os.path.join(os.path.dirname(config.config_file_path), place)):
            return match[0]  # which --strict then refuses
        address = (config.repo_url or "").rstrip("/")
        fragment = target.partition("#")[2]
        return f"[{text}]({address}/blob/main/{place}{'#' + fragment if fragment else ''})" if address else text

    return LINK.sub(outward, markdown)
