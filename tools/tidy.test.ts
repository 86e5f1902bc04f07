import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawMap, forbidden, layerOf, layers, withFreshMap } from './layers.ts';
import { sourceFile } from './rules/rule.ts';
import { tidyLock, tidyPage, tidySource } from './tidy.ts';

/** The findings about a file, as `line rule`. Files of src/ get the comment that they open with. */
function check(path: string, text: string, expected: readonly string[]): void {
  const opening = path.startsWith('src/') ? '// Opens. ' : '';
  const reports = tidySource(sourceFile(path, opening + text));
  assert.deepEqual(
    reports.map(({ line, rule }) => `${line} ${rule}`),
    expected,
    JSON.stringify(reports, null, 1),
  );
}

test('layers: an import goes to a lower level only', () => {
  check('src/plan/a.ts', `\nimport { x } from '../expr/b.ts';`, []);
  check('src/plan/a.ts', `\nimport { x } from './b.ts';`, []);
  check('src/expr/a.ts', `\nimport { x } from '../plan/b.ts';`, ['2 layers']);
  check('src/expr/a.ts', `\nimport type {\n  X,\n} from '../plan/b.ts';`, ['4 layers']);
  check('src/expr/a.ts', `\nexport const x = import('../plan/b.ts');`, ['2 layers']);
  check('src/data/state/a.ts', `\nimport '../codegen/b.ts';`, ['2 layers']);
});

test('layers: the control and data planes never import each other', () => {
  check('src/control/driver/a.ts', `\nimport '../../data/columnar/b.ts';`, ['2 layers']);
  check('src/data/task/a.ts', `\nimport '../../control/limits.ts';`, ['2 layers']);
});

test('layers: pure code imports pure code', () => {
  check('src/sim/a.ts', `\nimport '../control/driver/b.ts';`, []);
  check('src/sim/a.ts', `\nimport '../runtime/host/b.ts';`, ['2 layers']);
});

test('layers: every folder of src is in the table', () => {
  check('src/elsewhere/a.ts', '', ['1 layers']);
  check('src/base/a.ts', `\nimport '../elsewhere/b.ts';`, ['2 layers']);
});

test('layers: tests import what they need', () => {
  check('src/base/a.test.ts', `\nimport '../cli/main.ts';\nimport 'node:test';`, []);
});

test('layers: what is shipped imports nothing that is for tests', () => {
  check('src/base/a.ts', `\nimport './b.fixture.ts';`, ['2 layers']);
});

test('layers: a commented or quoted import is none', () => {
  check('src/base/a.ts', `\n// import '../plan/b.ts'\nconst a = "from '../plan/b.ts'";`, []);
});

test('packages: pure code imports no node module', () => {
  check('src/plan/a.ts', `\nimport fs from 'node:fs';`, ['2 packages']);
  check('src/cli/a.ts', `\nimport fs from 'node:fs';`, []);
});

test('packages: the engine imports only what the package depends on', () => {
  check('src/cli/a.ts', `\nimport { z } from 'zod';`, ['2 packages']);
  check('src/cli/a.test.ts', `\nimport { z } from 'zod';`, []);
});

test('extensions: a relative import names the file', () => {
  check('test/a.test.ts', `import '../src/base/b';\nimport '../src/base/b.js';`, [
    '1 extensions',
    '2 extensions',
  ]);
});

test('barrels: index.ts is for entries, which name each export', () => {
  check('src/plan/index.ts', '', ['1 barrels']);
  check('src/index.ts', `\nexport { x } from './api/x.ts';`, []);
  check('src/index.ts', `\nexport * from './api/x.ts';`, ['2 barrels']);
  check('src/api/a.ts', `\nexport type { x } from '../plan/x.ts';`, ['2 barrels']);
});

test('purity: no clock, timer, randomness, network or process', () => {
  const impure = [
    'Date.now()',
    'Date.parse(x)',
    'Date()',
    'new Date()',
    'x.getHours()',
    'Math.random()',
    'performance.now()',
    'process.env',
    'console.log(1)',
    'crypto.randomUUID()',
    'setTimeout(f, 1)',
    'setInterval(f, 1)',
    'fetch(x)',
    'globalThis.x',
  ];
  for (const code of impure) {
    check('src/control/driver/a.ts', `\nexport const a = ${code};`, ['2 purity']);
    check('src/cli/a.ts', `\nexport const a = ${code};`, []);
  }
});

test('purity: what only looks impure passes', () => {
  const pure = [
    'new Date(0).toISOString()',
    'Date.UTC(2020)',
    'x.getUTCHours()',
    'task.process(x)',
    '{ process: 1 }',
    'x.fetch(1)',
    '"Date.now()"',
  ];
  for (const code of pure) check('src/sim/a.ts', `\nexport const a = ${code};`, []);
});

test('synchronous: the planes know no promises', () => {
  check('src/data/task/a.ts', `\nasync function f() {}\nlet p: Promise<void>;`, [
    '2 synchronous',
    '3 synchronous',
  ]);
  check('src/control/worker/a.ts', `\nawait x;`, ['2 synchronous']);
  check('src/sim/a.ts', `\nawait x;`, []);
});

test('interfaces: they are ports', () => {
  check('src/plan/a.ts', `\nexport interface A {}`, ['2 interfaces']);
  check('src/plan/a.ts', `\n// interface A {}\ntype B = { interface: 1 };`, []);
  check('src/ports/a.ts', `\nexport interface A {}`, []);
});

test('erasable: no enum, namespace or decorator', () => {
  check('src/plan/a.ts', `\nexport const enum A {}\nnamespace B {}\n@c\nclass D {}`, [
    '2 erasable',
    '3 erasable',
    '4 erasable',
  ]);
});

test('dynamic-code: only data/codegen makes functions of text', () => {
  check('src/data/task/a.ts', `\nnew Function('return 1');`, ['2 dynamic-code']);
  check('src/data/codegen/a.ts', `\nnew Function('return 1');`, []);
});

test('names: kebab-case, and no empty words', () => {
  check('src/plan/plan-hash.ts', '', []);
  check('src/plan/plan-hash.prop.test.ts', '', []);
  check('src/plan/planHash.ts', '', ['1 names']);
  check('src/plan/plan.helper.ts', '', ['1 names']);
  for (const name of ['utils', 'string-utils', 'helpers', 'common', 'misc', 'task-manager']) {
    check(`src/plan/${name}.ts`, '', ['1 names']);
  }
  check('src/plan/types.ts', '', ['1 names']);
  check('src/plan/column-types.ts', '', []);
  check('src/plan/common/a.ts', '', ['1 names']);
});

test('opening: a file of the engine opens with a comment', () => {
  const rulesOf = (path: string) => tidySource(sourceFile(path, 'let a;')).map(({ rule }) => rule);
  assert.deepEqual(rulesOf('src/plan/a.ts'), ['opening']);
  assert.deepEqual(rulesOf('src/plan/a.test.ts'), []);
  assert.deepEqual(rulesOf('tools/a.ts'), []);
});

test('todo: it names its issue, and the other word cannot be merged', () => {
  check('tools/a.ts', `// TODO: x\n/*\n * FIXME */\n// TODO(#12): y\nconst TODO = 'TODO';`, [
    '1 todo',
    '3 todo',
  ]);
});

test('citations: the section exists', () => {
  check(
    'tools/a.ts',
    '// [Drizzle §3.2], [Drizzle §5], [Drizzle §3.1, §3.3]\n// [Drizzle\n// §4.2]',
    [],
  );
  check('tools/a.ts', '// [Drizzle §3.9]\n// [Drizzle §3.1, §8]\n// [Sparkle §1]', [
    '1 citations',
    '2 citations',
    '3 citations',
  ]);
  check('tools/a.ts', '/* a\n * [Drizzle\n * §9] */', ['2 citations']);
  assert.deepEqual(
    tidyPage('docs/a.md', 'a\n[Drizzle §7.7]').map(({ line, rule }) => `${line} ${rule}`),
    ['2 citations'],
  );
});

test('columns: a line has at most 100, but an address cannot be broken', () => {
  check('tools/a.ts', `// ${'é'.repeat(97)}`, []);
  check('tools/a.ts', `\n// ${'é'.repeat(98)}`, ['2 columns']);
  check('tools/a.ts', `// https://example.org/${'a'.repeat(90)}`, []);
});

test('lines: a long file is advice', () => {
  const [report] = tidySource(sourceFile('tools/a.ts', '\n'.repeat(400)));
  assert.equal(report?.rule, 'lines');
  assert.equal(report?.advice, true);
});

test('lock-file: it records no download address', () => {
  assert.deepEqual(tidyLock('l', '{"a":{"version":"1","integrity":"x"}}'), []);
  assert.equal(tidyLock('l', '{"a":{"resolved":"x"}}').length, 1);
});

test('map: ARCHITECTURE.md shows the table of layers', () => {
  const stale = '<!-- map: begin (node tools/layers.ts --write) -->\n<!-- map: end -->\n';
  assert.deepEqual(
    tidyPage('ARCHITECTURE.md', stale).map(({ rule }) => rule),
    ['map'],
  );
  assert.deepEqual(tidyPage('ARCHITECTURE.md', withFreshMap(stale) ?? ''), []);
  assert.deepEqual(tidyPage('README.md', 'no markers'), []);
  for (const { folder, owns } of layers) {
    assert.ok(drawMap().includes(folder) && drawMap().includes(owns), folder);
  }
});

test('layerOf gives the innermost layer, and a file of src its own', () => {
  assert.equal(layerOf('src/data/task/a.ts')?.folder, 'data/task');
  assert.equal(layerOf('src/control/limits.ts')?.folder, 'control');
  assert.equal(layerOf('src/index.ts')?.folder, 'index.ts');
  assert.equal(layerOf('tools/a.ts'), undefined);
});

test('forbidden keeps the planes apart at any level', () => {
  const control = layers.filter(({ plane }) => plane === 'control');
  const data = layers.filter(({ plane }) => plane === 'data');
  for (const one of control) {
    for (const other of data) {
      assert.ok(forbidden(one, other) !== null && forbidden(other, one) !== null);
    }
  }
});
