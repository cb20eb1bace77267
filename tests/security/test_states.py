"""Nothing that is stored can make the product run code when it is read back."""

import ast
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(ROOT.glob("*/src/**/*.py")) + sorted(ROOT.glob("aiops_plugins/*/src/**/*.py"))
LOADERS = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib", "yaml", "jsonpickle"}
CHECKPOINTS = re.compile(r"langgraph\.(checkpoint|store)|checkpointer\s*=(?!\s*None)")


@pytest.mark.attack(29)
@pytest.mark.attack(30)
def test_nothing_is_read_back_as_objects() -> None:
    """No module of the product imports what makes objects of stored bytes; `pickle` may be named only to be refused."""
    found = []
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{source.name}: {name}" for name in names if name.partition(".")[0] in LOADERS]
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("eval", "exec", "compile", "__import__"):
                found.append(f"{source.name}:{node.lineno} {ast.unparse(node.func)}")
    assert found == []
    assert len(SOURCES) > 100


@pytest.mark.attack(30)
def test_the_graph_keeps_no_checkpoints() -> None:
    """The agents' graph is compiled without a checkpointer: losing its state reruns the agent, nothing is loaded."""
    offences = [source.name for source in SOURCES if CHECKPOINTS.search(source.read_text())]
    assert offences == []
    compiled = [s for s in SOURCES if re.search(r"StateGraph|\.compile\(\)", s.read_text())]
    assert compiled


@pytest.mark.attack(30)
def test_a_gadget_in_a_stored_state_is_data() -> None:
    """What LangChain's loaders would make an object of, and msgpack's own types, stay plain values or are refused."""
    gadget: dict[str, Any] = {"lc": 2, "type": "constructor", "id": ["os", "system"], "args": ["true"], "kwargs": {}}
    assert msgspec.json.decode(msgspec.json.encode(gadget)) == gadget
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(b"\x80\x04\x95csystem\n")
