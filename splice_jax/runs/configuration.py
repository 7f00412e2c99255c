"""Configurations: read from a file or a run, changed by flags, saved with the run.

A configuration is an `ml_collections.ConfigDict`; sections nest and are written with dots (`loss.beta`). Its fields and
their types are fixed where it is defined, so a flag can only give an existing field a new value of its type:

    --config=columbia                 one of the built-in configurations, `runs.builtin.NAMES`
    --config=configs/columbia.py      a file that defines `get_config()`
    --config.loss.beta=5              one field; also `--config.loss.beta 5` and, for a switch, `--config.switch`

Every mistake is a one-line `UserError` that names the field or the file.
"""

import ast
import difflib
import json
import math
import re
import runpy
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from splice_jax.errors import UserError, one_line
from splice_jax.files import parsed_json, replacing
from splice_jax.runs import schema
from splice_jax.runs.builtin import NAMES, builtin

FILE_NAME = "config.json"

_FLAG = re.compile(r"--?config(?:\.(?P<field>[^=]*))?(?:=(?P<value>.*))?", re.DOTALL)
_SWITCH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

Override = tuple[str, str | None]
"""A field's dotted name and the text given for it; None for a switch named without a value."""


def split_flags(argv: Sequence[str]) -> tuple[str | None, list[Override], list[str]]:
    """Sorts arguments into the value of `--config`, the `--config.FIELD` overrides, and the rest, in order."""
    file: str | None = None
    overrides: list[Override] = []
    rest: list[str] = []
    position = 0
    while position < len(argv):
        argument = argv[position]
        position += 1
        flag = _FLAG.fullmatch(argument)
        if flag is None:
            rest.append(argument)
            continue
        value = flag["value"]
        if value is None and position < len(argv) and not argv[position].startswith("--"):
            value = argv[position]
            position += 1
        if flag["field"] is not None:
            overrides.append((flag["field"], value))
        elif not value:
            raise UserError("--config: the name is missing, write --config=NAME or --config=FILE.py")
        else:
            file = value
    return file, overrides, rest


def apply_overrides(config: ConfigDict, overrides: Sequence[Override] | Sequence[str]) -> ConfigDict:
    """A copy of `config` with the fields changed; if a field is named twice, the last value wins.

    Args:
      config: the configuration to start from; it is not modified.
      overrides: pairs as `split_flags` returns them, or flags as typed (`--config.seed=3`).

    Raises:
      UserError: an unknown field (the nearest known one is suggested), a whole section, or a value of the wrong type.
    """
    changed = ConfigDict(config.to_dict())
    for field, text in _as_pairs(overrides):
        section, name = _locate(changed, field)
        section[name] = _parse(field, text, section[name])
    return changed


def _as_pairs(overrides: Sequence[Override] | Sequence[str]) -> list[Override]:
    """Overrides as pairs, from either form."""
    flags = [override for override in overrides if isinstance(override, str)]
    pairs = [override for override in overrides if not isinstance(override, str)]
    file, parsed, rest = split_flags(flags)
    if file is not None or rest:
        raise UserError(f"{rest[0] if rest else '--config'}: expected --config.FIELD=VALUE")
    return pairs + parsed


def load_config(workdir: Path | str) -> ConfigDict:
    """The configuration a run was made with.

    Raises:
      UserError: the folder or its config.json is missing, or the file cannot be read.
    """
    workdir = Path(workdir)
    path = workdir / FILE_NAME
    if not workdir.is_dir():
        raise UserError(f"{workdir}: no such folder; name the folder of a run, as given to train by --workdir")
    if not path.is_file():
        raise UserError(
            f"{workdir}: no {FILE_NAME} in it, so it is not a run; train one with splice-jax train --workdir=..."
        )
    try:
        fields = parsed_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({one_line(error)}); the run has to be made anew") from error
    if not isinstance(fields, dict):
        raise UserError(f"{path}: holds no configuration (a JSON object was expected); the run has to be made anew")
    try:
        return ConfigDict(_lists_to_tuples(fields))
    except (ValueError, TypeError, AttributeError) as error:  # Names with dots, or of Python's own.
        raise UserError(f"{path}: has a field that no configuration has ({one_line(error)}); remove it") from error


def load_run_config(workdir: Path | str) -> ConfigDict:
    """As `load_config`; fields newer than the run get their defaults, which do not change what it computes."""
    config = load_config(workdir)
    _fill(config, schema.default_config(), str(Path(workdir) / FILE_NAME))
    return config


def evaluation_config(workdir: Path | str, overrides: Sequence[Override]) -> ConfigDict:
    """The configuration of a run with some fields changed for an evaluation.

    Raises:
      UserError: there is no run, or a field was fixed by training and can no longer be changed.
    """
    for field, _ in overrides:
        if field in schema.TRAINED_WITH:
            role = schema.FIELDS[field].role
            raise UserError(
                f"--config.{field}: belongs to the {role} that {workdir} was trained with, which no evaluation can "
                "change; leave it out, or train another run"
            )
    return apply_overrides(load_run_config(workdir), overrides)


def _fill(section: ConfigDict, defaults: ConfigDict, title: str) -> None:
    """Adds what is missing, and raises UserError where a field is of another kind than its default."""
    for name, default in defaults.items():
        if name not in section:
            section[name] = default
        elif not _is_of_kind(section[name], default):
            kind = _KINDS.get(type(default), type(default).__name__)
            raise UserError(f"{title}: {name}: expected {kind}, not {section[name]!r}; mend it there")
        elif isinstance(default, ConfigDict):
            _fill(section[name], default, title)


def _is_of_kind(value: Any, default: Any) -> bool:
    if isinstance(default, tuple):
        kinds = default[:1] or (None,)
        return isinstance(value, tuple) and all(_is_of_kind(each, kinds[0]) for each in value)
    if isinstance(default, float):
        return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)
    return default is None or type(value) is type(default)


def save_config(config: ConfigDict, workdir: Path | str) -> Path:
    """Writes the whole configuration as WORKDIR/config.json and returns its path."""
    path = Path(workdir) / FILE_NAME
    text = json.dumps(config.to_dict(), indent=2, sort_keys=True, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def read_config(name: str) -> ConfigDict:
    """A built-in configuration by name, or the one defined by a file whose name ends in .py.

    Raises:
      UserError: as `read_config_file`, or no built-in configuration has this name.
    """
    if name.endswith(".py"):
        return read_config_file(name)
    if name not in NAMES:
        raise UserError(f"--config={name}: no built-in configuration and no .py file; built in: {', '.join(NAMES)}")
    return builtin(name)


def read_config_file(path: Path | str) -> ConfigDict:
    """What `get_config()` of a Python file returns.

    Raises:
      UserError: the file is missing, fails to run (with the line), or has no `get_config()` that returns a ConfigDict.
    """
    path = Path(path)
    if path.suffix != ".py" or not path.is_file():
        raise UserError(
            f"--config={path}: no such Python file; name one that exists, or a built-in configuration such as default"
        )
    try:
        config = runpy.run_path(str(path))["get_config"]()
    except KeyError as error:
        if error.args != ("get_config",):
            raise UserError(_failure(path, error)) from error
        raise UserError(f"{path}: defines no function get_config()") from error
    except Exception as error:
        raise UserError(_failure(path, error)) from error
    if not isinstance(config, ConfigDict):
        raise UserError(f"{path}: get_config() returns {type(config).__name__}, expected ml_collections.ConfigDict")
    return config


def field_names(config: ConfigDict, prefix: str = "") -> list[str]:
    """The dotted names of all fields, including those in sections, sorted."""
    names: list[str] = []
    for name, value in config.items():
        names += field_names(value, f"{prefix}{name}.") if isinstance(value, ConfigDict) else [prefix + name]
    return sorted(names)


def field_value(config: ConfigDict, field: str) -> Any:
    """The value of a field under its dotted name; None if there is no such field."""
    for part in field.split("."):
        config = config.get(part) if isinstance(config, ConfigDict) else None
    return config


def _locate(config: ConfigDict, field: str) -> tuple[ConfigDict, str]:
    """The section that holds a field, and the field's name within it."""
    *sections, name = field.split(".")
    section: Any = config
    for part in sections:
        section = section[part] if isinstance(section, ConfigDict) and part in section else None
    if not isinstance(section, ConfigDict) or name not in section:
        raise UserError(f"--config.{field}: no such field{_suggestion(config, field)}")
    value = section[name]
    if isinstance(value, ConfigDict):
        inner = ", ".join(field_names(value, f"{field}."))
        raise UserError(f"--config.{field}: is a section, set one of its fields: {inner}")
    return section, name


def _suggestion(config: ConfigDict, field: str) -> str:
    names = field_names(config)
    last = {name.rpartition(".")[2]: name for name in names}
    near = difflib.get_close_matches(field, names, n=1)
    near = near or [last[name] for name in difflib.get_close_matches(field.rpartition(".")[2], last, n=1)]
    return f"; did you mean --config.{near[0]}?" if near else f"; there are: {', '.join(names)}"


def _parse(field: str, text: str | None, current: Any) -> Any:
    """Parses `text` as a value of the same type as the field's `current` value."""
    if text is None and not isinstance(current, bool):
        raise UserError(f"--config.{field}: its value is missing, write --config.{field}=VALUE")
    try:
        return _value("true" if text is None else text, current)
    except (ValueError, SyntaxError, KeyError) as error:
        kind = _KINDS.get(type(current), type(current).__name__)
        raise UserError(f"--config.{field}={text}: expected {kind}, such as {current!r}") from error


_KINDS = {
    bool: "true or false", int: "a whole number", float: "a number", tuple: "values separated by commas", str: "a text",
    ConfigDict: "a section",
}  # fmt: skip


def _value(text: str, current: Any) -> Any:
    if current is None:
        return _literal(text)
    if isinstance(current, bool):
        return _SWITCH[text.lower()]
    if isinstance(current, (tuple, list)):
        return _values(text, current)
    kind: Any = type(current)
    value = kind(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("JSON, in which a run keeps its configuration, has no such number")
    return value


def _values(text: str, current: Sequence[Any]) -> Sequence[Any]:
    """Comma-separated values, with or without brackets, each of the type of the field's current values."""
    parts = text.strip().strip("()[]").split(",")
    stripped = [part.strip().strip("'\"") for part in parts if part.strip()]
    kind: Any = type(current)
    return kind(_value(part, current[0]) if current else _literal(part) for part in stripped)


def _literal(text: str) -> Any:
    """The Python literal if the text is one, otherwise the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _lists_to_tuples(value: Any) -> Any:
    """JSON has only lists; configurations hold tuples, which cannot be modified by accident."""
    if isinstance(value, dict):
        return {name: _lists_to_tuples(inner) for name, inner in value.items()}
    return tuple(map(_lists_to_tuples, value)) if isinstance(value, list) else value


def _failure(path: Path, error: Exception) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    where = f"{path}, line {lines[-1]}" if lines else str(path)
    return f"{where}: {type(error).__name__}: {one_line(error)}"
