"""A hook of MkDocs: links of pages to files outside docs/ (sources, recipes, notebooks) lead to the repository on the web where its address
is known (T0NATIVE_URL), and are plain names where it is not."""

import os
import posixpath
import re

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(((?:\.\./)+[^)\s]+)\)")


def on_page_markdown(markdown, page, config, files):
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
