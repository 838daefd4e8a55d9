#!/usr/bin/env python3
"""Make the site of the documents: guides, lessons with their outputs, reference, source.

    python scripts/make_docs.py

It goes into build/site and begins with index.html; open it from the disk, nothing on it asks another machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

from docs_site.frame import Page, write_pages
from docs_site.lessons import lesson, list_of_lessons
from docs_site.links import broken_links
from docs_site.reference import reference
from docs_site.source import PROJECT, folder_pages, source_files, source_page
from docs_site.text import Broken, attachments, documents, guide

from mlp.checks import InputError

OUTPUT = PROJECT / "build" / "site"


def collect_lessons(run: bool, executed: Path | None) -> list[Page]:
    """The pages of all lessons: run now, from a folder where they were run, or as they are, without outputs."""
    folder = executed or PROJECT / "notebooks"
    with tempfile.TemporaryDirectory() as temporary:
        if run and executed is None:
            folder = Path(temporary)
            command = [
                sys.executable,
                str(PROJECT / "scripts" / "make_notebooks.py"),
                "--check",
                f"--output={folder}",
            ]
            if subprocess.run(command).returncode:
                raise Broken("a lesson fails; the lines above say which, and --skip-lessons leaves them unrun")
        found = [lesson(path) for path in sorted(folder.glob("*.ipynb"))]
    if not found:
        raise Broken(f"there are no lessons in {folder}")
    return [list_of_lessons(found, were_run=run or executed is not None), *found]


def make_site(folder: Path, run: bool = True, executed: Path | None = None) -> int:
    """Write the site into ``folder``, which it replaces, and return the number of its pages.

    Raises ``Broken`` for a document that is wrong, and for links that lead nowhere.
    """
    sources = source_files()
    sections = {
        "Guides": [guide(document) for document in documents()],
        "Lessons": collect_lessons(run, executed),
        "Reference": reference(),
        "Source": folder_pages(sources),
    }
    pages = [page for section in sections.values() for page in section]
    sections["Source"] = [page for page in sections["Source"] if page.title.count("/") <= 1]
    with tempfile.TemporaryDirectory(dir=_parent(folder)) as temporary:
        new = Path(temporary) / "site"
        new.mkdir()
        write_pages(pages + [source_page(path) for path in sources], sections, new)
        for file in attachments():
            copy = new / file.relative_to(PROJECT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        problems = list(broken_links(new))
        if problems:
            raise Broken("\n".join(problems))
        if folder.exists():
            folder.rename(Path(temporary) / "old")
        new.rename(folder)
    return len(pages) + len(sources)


def _parent(folder: Path) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder.parent


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 if the site is made, 1 if a document is wrong, 2 for something that the caller got wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where to (default: build/site)")
    parser.add_argument("--skip-lessons", action="store_true", help="show the lessons without running them")
    parser.add_argument(
        "--lessons", type=Path, help="a folder of lessons that were run, by make_notebooks.py --output"
    )
    options = parser.parse_args(arguments)
    warnings.simplefilter("error")
    try:
        if options.output.exists() and not (options.output / "site" / "index.js").is_file():
            raise InputError(f"--output: {options.output} is there and holds no site; accepted: a new folder")
        if options.lessons is not None and not options.lessons.is_dir():
            raise InputError(f"--lessons: {options.lessons} is no folder; accepted: one with executed notebooks")
        count = make_site(options.output, run=not options.skip_lessons, executed=options.lessons)
    except ImportError as error:
        print(f"make_docs.py: the site needs {error.name}: pip install -e '.[docs]'", file=sys.stderr)
        return 2
    except InputError as error:
        print(f"make_docs.py: {error}", file=sys.stderr)
        return 2
    except Broken as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{count} pages: {os.path.relpath(options.output / 'index.html')}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
