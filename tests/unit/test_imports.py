"""Who may import whom: the picture of DESIGN, checked against the sources, so that it cannot rot."""
from __future__ import absolute_import, division, print_function

import ast
import io
import os

import pytest

import pymesos

ROOT = os.path.dirname(os.path.abspath(pymesos.__file__))

#: The layer of each module; a name that ends with a dot stands for all modules of that package.
LAYERS = {
    '__init__': 'package',
    '_compat': 'base', 'errors': 'base',
    'utils': 'utils',
    'resources': 'resources',
    'wire.': 'wire',
    'transport.': 'transport',
    'detector': 'detector', 'zookeeper': 'detector',
    'process': 'process',
    'interface': 'interface',
    'scheduler': 'drivers', 'executor': 'drivers', 'operator_v1': 'drivers', '_operator_http': 'drivers',
    'subprocess.': 'subprocess',
    'serving.': 'serving',
    # What of the embedded cluster only decides.
    'local.model.': 'model', 'local.schema': 'model', 'local.convert': 'model', 'local.strictjson': 'model',
    'local.options': 'model',
    'local.': 'local',
    'testing.': 'testing',
    'cli': 'cli', 'cli_run': 'cli', '__main__': 'cli',
}

#: What a layer may import besides itself. All arrows point down.
ALLOWED = {
    'base': '',
    'utils': 'base',
    'resources': 'base utils',
    'wire': 'base utils',
    'transport': 'base utils wire',
    # local: for master='local', which starts the embedded cluster.
    'detector': 'base utils wire local',
    'process': 'base utils wire transport detector',
    'interface': 'base utils',
    'drivers': 'base utils resources wire transport detector process interface',
    # Servers: the other end of what transport does, and nothing of it.
    'serving': 'base utils',
    'model': 'base utils resources wire',
    # Never the drivers nor what carries them: both ends of a connection must not share a bug.
    'local': 'base utils resources wire serving model',
    # Peers and observers for tests. For the same reason they share no protocol code with what is tested, wire included;
    # local is there for the fixture that starts a cluster.
    'testing': 'base utils serving local',
    # serving: the port that its executors dial.
    'subprocess': 'base utils resources wire transport detector process interface drivers serving',
    'cli': 'base utils resources wire transport detector process interface drivers subprocess local package',
    'package': 'base utils resources interface drivers',
}

#: Layers that do no input or output, ask no clock and start no thread, and what would be one of these.
PURE = ('utils', 'resources', 'wire', 'interface', 'model')
IMPURE = {'asyncio', 'errno', 'fcntl', 'logging', 'monotonic', 'multiprocessing', 'os', 'queue', 'random', 'select',
          'selectors', 'selectors2', 'signal', 'socket', 'ssl', 'subprocess', 'tempfile', 'thread', 'threading', 'time'}
IMPURE_OF_COMPAT = {'close_on_exec', 'monotonic', 'pipe', 'selectors', 'wait_for'}

#: Who alone imports a package that is optional or that another may take the place of.
KEEPERS = {'kazoo': {'zookeeper'}, 'h11': {'wire.httpmsg', 'serving.http_connection', 'serving.requests'},
           'httptools': {'wire.httpmsg'}, 'http_parser': {'wire.httpmsg'}, 'addict': {'wire.messages'},
           'orjson': {'wire.messages'}, 'pytest': {'testing.plugin'}, 'tqdm': {'subprocess.cli.progress'}}

FUTURE = {'absolute_import', 'division', 'print_function'}


def find_modules():
    """{name below pymesos: path} of all modules; packages are named ``wire.__init__``."""
    found = {}
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name != '__pycache__']
        for name in files:
            if name.endswith('.py'):
                path = os.path.join(folder, name)
                found[os.path.relpath(path, ROOT)[:-len('.py')].replace(os.sep, '.')] = path
    return found


MODULES = find_modules()


TREES = {}


def parse(name):
    if name not in TREES:
        with io.open(MODULES[name], 'rb') as stream:
            TREES[name] = ast.parse(stream.read(), MODULES[name])
    return TREES[name]


def layer_of(name):
    package = name
    while package and name not in LAYERS and package + '.' not in LAYERS:
        package = package.rpartition('.')[0]
    return LAYERS.get(name) or LAYERS.get(package + '.')


def imports_of(name):
    """(modules of ours, names of other packages, names taken from _compat) that a module imports, anywhere in it."""
    ours, others, of_compat = set(), set(), set()
    for node in ast.walk(parse(name)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                add(alias.name, ours, others)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ''
            if node.level:
                parents = ['pymesos'] + name.split('.')[:-1]
                base = '.'.join(parents[:len(parents) - node.level + 1] + ([base] if base else []))
            if base == 'pymesos._compat':
                of_compat.update(alias.name for alias in node.names)
            for alias in node.names:
                add(base + '.' + alias.name, ours, others)
    return ours, others, of_compat


def add(dotted, ours, others):
    """Put what ``import dotted`` reaches into one of the sets: the module of ours that has the name, or the package."""
    top, _, rest = dotted.partition('.')
    if top == 'six' and rest.startswith('moves.'):
        others.update(rest.split('.')[1:])
    if top != 'pymesos':
        others.add(top)
        return
    for candidate in (rest, rest.rpartition('.')[0]):
        for module in (candidate, (candidate + '.__init__').lstrip('.')):
            if module in MODULES:
                ours.add(module)
                return
    raise AssertionError('%s imports nothing that exists' % dotted)


@pytest.mark.parametrize('name', sorted(MODULES))
def test_module_is_in_the_table_and_imports_only_what_its_layer_may(name):
    assert layer_of(name), '%s has no layer in LAYERS' % name
    may = set(ALLOWED[layer_of(name)].split()) | {layer_of(name)}
    wrong = ['%s (%s)' % (module, layer_of(module)) for module in sorted(imports_of(name)[0])
             if layer_of(module) not in may]
    assert not wrong, '%s (%s) must not import %s' % (name, layer_of(name), ', '.join(wrong))


@pytest.mark.parametrize('name', sorted(name for name in MODULES if layer_of(name) in PURE))
def test_pure_module_imports_nothing_that_touches_the_world(name):
    _, others, of_compat = imports_of(name)
    assert not others & IMPURE
    assert not of_compat & IMPURE_OF_COMPAT


@pytest.mark.parametrize('name', sorted(MODULES))
def test_package_with_a_keeper_is_imported_by_its_keeper_alone(name):
    wrong = [package for package in imports_of(name)[1] if name not in KEEPERS.get(package, {name})]
    assert not wrong


@pytest.mark.parametrize('name', sorted(name for name in MODULES if name != '_compat'))
def test_only_compat_asks_which_python_this_is(name):
    asked = ['line %d: %s' % (node.lineno, node.attr) for node in ast.walk(parse(name))
             if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
             and (node.value.id, node.attr) in (('sys', 'version_info'), ('sys', 'version'), ('sys', 'hexversion'),
                                                ('six', 'PY2'), ('six', 'PY3'), ('six', 'PY34'))]
    assert not asked
    assert 'platform' not in imports_of(name)[1]


@pytest.mark.parametrize('name', sorted(MODULES))
def test_file_opens_with_the_future_imports(name):
    tree = parse(name)
    code = tree.body[1 if ast.get_docstring(tree) else 0:]
    if not code:
        return          # a package of which there is nothing but the docstring
    first = code[0]
    assert isinstance(first, ast.ImportFrom) and first.module == '__future__'
    assert FUTURE == {alias.name for alias in first.names}


def test_no_module_imports_itself_through_others():
    graph = {name: imports_of(name)[0] - {'__init__'} for name in MODULES}
    done = set()

    def visit(name, trail):
        assert name not in trail, 'a circle: %s' % ' -> '.join(trail[trail.index(name):] + [name])
        if name not in done:
            for module in sorted(graph[name]):
                visit(module, trail + [name])
            done.add(name)

    for name in sorted(graph):
        visit(name, [])


def test_arrows_of_the_table_point_down():
    order = []
    while len(order) < len(ALLOWED):
        ready = [layer for layer in ALLOWED if layer not in order and set(ALLOWED[layer].split()) <= set(order)]
        assert ready, 'a circle among %s' % sorted(set(ALLOWED) - set(order))
        order += ready
    assert set(LAYERS.values()) == set(ALLOWED)
