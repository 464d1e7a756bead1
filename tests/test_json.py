"""What is written as JSON can be read as JSON: NaN and infinity are none."""

import ast
import pathlib

ROOT = pathlib.Path(__file__).parent.parent
OWN = {  # nobody else reads these; they may be of what an older version wrote
    ("jaxgan/config/run.py", "to_tree"),
    ("jaxgan/config/run.py", "fingerprint"),
    ("jaxgan/checkpoints/manifest.py", "_digest"),
    ("jaxgan/evaluators/score_files.py", "check_same"),
}


def writers():
    """`(file, function, what allow_nan is)` of every call of json.dump and json.dumps."""
    for folder in ("jaxgan", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            for function in ast.walk(ast.parse(path.read_text())):
                for call in ast.walk(function) if isinstance(function, ast.FunctionDef) else ():
                    if isinstance(call, ast.Call) and ast.unparse(call.func) in ("json.dump", "json.dumps"):
                        given = {each.arg: ast.unparse(each.value) for each in call.keywords}
                        yield str(path.relative_to(ROOT)), function.name, given.get("allow_nan")


def test_every_writer_refuses_nan():
    found = list(writers())
    assert len(found) > 20
    wrong = [(path, name) for path, name, allow in found if allow != "False" and (path, name) not in OWN]
    assert not wrong, wrong
