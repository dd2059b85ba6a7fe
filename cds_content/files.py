"""Reading content files: one run names every mistake, each with file, place and what to write instead."""

import json
import tomllib
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from cds_content.reassurance import reassurance
from cds_content.screening import reversed_host
from cds_content.shapes import Json, hyphened
from cds_service import strict_json
from cds_service.errors import BadRequest

PUBLISHED_BASE = "https://lowbackpain.example/fhir"  # the canonical base that the files write
_NEEDED = {"id", "meta", "url", "version", "language", "status", "name", "title", "date"}
Shape = TypeVar("Shape", bound=BaseModel)


class ContentError(Exception):
    """The content cannot be used; each of `mistakes` names file, place and what to write instead."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


def unknown(kind: str, name: str, names: Collection[str]) -> str:
    """What is wrong when `name` is not one of `names`; empty when it is."""
    if name in names:
        return ""
    near = get_close_matches(name, names, n=3) or sorted(names)
    return f"unknown {kind} '{name}'; write one of: {', '.join(near)}"


class Files:
    """The content below `root`, with the mistakes found in it. `base` replaces PUBLISHED_BASE in what is read.

    Names that start with its reversed host (the own hook) follow it.
    """

    def __init__(self, root: Path, base: str) -> None:
        self.root, self.base = root, base
        self.mistakes: list[str] = []

    def wrong(self, path: Path, place: str, what: str) -> None:
        self.mistakes.append(f"{path.relative_to(self.root)}: {place}: {what}")

    def toml(self, path: Path, shape: type[Shape]) -> Shape | None:
        """The file in its shape; None, with the mistakes noted, when it cannot be read."""
        text = self._text(path)
        try:
            value = tomllib.loads(text or "")
            self._reassurance(path, value)
            return shape.model_validate(value) if text is not None else None
        except tomllib.TOMLDecodeError as error:
            self.wrong(path, "file", f"is not TOML: {error}; mend that line")
        except ValidationError as error:
            self._faults(path, shape, error, "as the head of the file says")
        return None

    def json(self, path: Path, shape: type[BaseModel]) -> Json:
        """The FHIR resource in the file; empty, with the mistakes noted, when it cannot be read."""
        text = self._text(path)
        try:
            value: Any = json.loads(text) if text is not None else {}
            if text is not None:
                strict_json.read(text.encode())
                self._reassurance(path, value)
                shape.model_validate(value)
                self._members(path, value, shape.__name__)
            return dict(value)
        except BadRequest:
            self.wrong(path, "file", "is no strict JSON; write each key once, and no NaN or Infinity")
        except ValidationError as error:
            self._faults(path, shape, error, "as FHIR R4 says")
        except ValueError as error:
            self.wrong(path, "file", f"is not JSON: {error}; mend that line")
        return {}

    def _reassurance(self, path: Path, value: Any) -> None:
        for place, phrase in reassurance(value):
            self.wrong(path, place, f"says '{phrase}', which no text may; say what was reported")

    def _members(self, path: Path, value: Json, kind: str) -> None:
        """What the service needs and FHIR does not."""
        if value.get("resourceType") != kind:
            self.wrong(path, "resourceType", f"write '{kind}'")
        for key in sorted(_NEEDED - value.keys()):
            self.wrong(path, f"{kind}.{key}", "is missing; write it")
        if not str(value.get("id", "")).startswith(path.parent.name):
            self.wrong(path, f"{kind}.id", f"write an id that starts with '{path.parent.name}', the folder")

    def _text(self, path: Path) -> str | None:
        try:
            text = path.read_text("utf-8").replace(PUBLISHED_BASE, self.base)
            return text.replace(f"{reversed_host(PUBLISHED_BASE)}.", f"{reversed_host(self.base)}.")
        except FileNotFoundError:
            self.wrong(path, "file", "does not exist; write it, as the low back pain screening does")
        except UnicodeDecodeError as error:
            self.wrong(path, "file", f"is not UTF-8 at byte {error.start}; save it as UTF-8")
        return None

    def _faults(self, path: Path, shape: type[BaseModel], error: ValidationError, how: str) -> None:
        for fault in error.errors(include_url=False, include_input=False):
            place = ".".join(str(part) for part in fault["loc"]) or "file"
            near = get_close_matches(str(fault["loc"][-1]) if fault["loc"] else "", _keys(shape), n=3)
            instead = f"one of: {', '.join(near)}" if fault["type"] == "extra_forbidden" and near else how
            self.wrong(path, place, f"{fault['msg']}; write it {instead}")


def _keys(shape: type[BaseModel]) -> set[str]:
    """Every key that may stand anywhere in the shape."""
    seen, keys = set[Any](), set[str]()
    todo: list[Any] = [shape]
    while todo:
        one = todo.pop()
        todo += get_args(one)
        if one not in seen and isinstance(one, type) and issubclass(one, BaseModel):
            seen.add(one)
            keys |= {hyphened(name) for name in one.model_fields}
            todo += [field.annotation for field in one.model_fields.values() if field.annotation]
    return keys
