"""YAML as its readers expect it: 1e-3 is a number, and a key given twice is an error, not the last one's victory."""

import re
from typing import Any

import yaml

__all__ = ["read_yaml"]

# PyYAML keeps YAML 1.1, where a float needs a dot and a sign in its exponent; 1.2 takes what everyone writes
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+\Z")


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice; keep one of the two", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))


def read_yaml(text: str) -> Any:
    """The values of a YAML document.

    Raises
    ------
    yaml.YAMLError
        With line and column: where the text is no YAML, or a table holds a key twice.

    Examples
    --------
    >>> read_yaml("{tol: 1e-3, reg: 1E5, name: 1e-3x}")
    {'tol': 0.001, 'reg': 100000.0, 'name': '1e-3x'}
    """
    return yaml.load(text, Loader=_Loader)
