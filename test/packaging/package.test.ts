// The package works where nothing but Node is: what it holds, its command line, its declarations,
// and what it says on a Node that is too old.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Script } from 'node:vm';
import { installPackage, type InstalledPackage } from './installed-package.ts';

const root = join(import.meta.dirname, '..', '..');
const bin = join(root, 'bin', 'mizzle.js');
const { version, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const run = promisify(execFile);

let installed: InstalledPackage;

before(async () => {
  installed = await installPackage();
});

after(() => installed?.remove());

test('the package holds what it needs to run and nothing else', () => {
  const tops = new Set(installed.files.map((path) => path.split('/')[0]));
  const allowed = ['bin', 'dist', 'package.json', 'README.md', 'LICENSE', 'CHANGELOG.md'];
  assert.deepEqual(
    [...tops].filter((top) => !allowed.includes(top ?? '')),
    [],
  );
  for (const path of ['bin/mizzle.js', 'dist/index.js', 'dist/index.d.ts', 'LICENSE']) {
    assert.ok(installed.files.includes(path), path);
  }
  assert.deepEqual(
    installed.files.filter((path) => /\.(test|fixture|fuzz)\.|(?<!\.d)\.ts$/.test(path)),
    [],
  );
});

test('mizzle version says the version of the package', async () => {
  const { stdout } = await installed.npx('mizzle', 'version');
  assert.ok(stdout.includes(version), stdout);
});

const orders = `{"country":"AT","amount":12.5,"at":"2026-01-01T10:00:00Z"}
{"country":"BR","amount":80,"at":"2026-01-01T10:00:01Z"}
{"country":"AT","amount":3.25,"at":"2026-01-01T10:00:12Z"}
`;

/** A pipeline as a user of the package writes it. */
const ordersPipeline = `
import { count, files, float64, jsonLines, pipeline, schema } from 'mizzle';
import { string, sum, timestamp, tumbling } from 'mizzle';

const Order = schema({ country: string(), amount: float64(), at: timestamp() });

const revenue = pipeline('orders')
  .from(files({ path: 'orders.jsonl', schema: Order }), { time: 'at', watermark: { delay: '5s' } })
  .groupBy('country')
  .window(tumbling('10s'))
  .aggregate((e) => ({ orders: count(), revenue: sum(e.amount) }))
  .to(jsonLines('revenue.jsonl', { overwrite: true }));
`;

const tenOClock = Date.parse('2026-01-01T10:00:00Z');

function assertRevenue(): void {
  const lines = readFileSync(join(installed.folder, 'revenue.jsonl'), 'utf8').trimEnd().split('\n');
  const rows = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const cells = rows.map((row) => [
    row['country'],
    row['windowStart'],
    row['orders'],
    row['revenue'],
  ]);
  assert.deepEqual(cells.toSorted(), [
    ['AT', tenOClock, 1, 12.5],
    ['AT', tenOClock + 10_000, 1, 3.25],
    ['BR', tenOClock, 1, 80],
  ]);
}

test('mizzle run: a TypeScript pipeline runs from the package in worker threads', async () => {
  installed.write('orders.jsonl', orders);
  installed.write('orders.ts', `${ordersPipeline}export default revenue;\n`);
  const { stdout, stderr } = await installed.npx('mizzle', 'run', 'orders.ts', '--json');
  assertRevenue();
  const summary = JSON.parse(stdout) as { readonly workers: number; readonly recordsIn: number };
  assert.deepEqual([summary.workers, summary.recordsIn], [2, 3]);
  assert.match(stderr, /^pipeline orders: done in /m);
});

test('mizzle explain: shows plans and kernels from the package', async () => {
  installed.write('explained.ts', `${ordersPipeline}export default revenue;\n`);
  const { stdout } = await installed.npx('mizzle', 'explain', 'explained.ts');
  assert.match(stdout, /logical plan[^]*physical plan[^]*kernel of stage 0/);
});

test('node: a program that runs its pipeline works with threads from the package', async () => {
  const code = `
const job = await revenue.run({ workers: 2 });
const { rowsOut, workers } = await job.done;
console.log(JSON.stringify({ rowsOut, workers }));
`;
  installed.write('orders.jsonl', orders);
  installed.write('program.ts', ordersPipeline + code);
  const { stdout } = await installed.node('program.ts');
  assert.deepEqual(JSON.parse(stdout), { rowsOut: 3, workers: 2 });
  assertRevenue();
});

test('declarations: a right pipeline compiles and a wrong column does not', async () => {
  const right = `${ordersPipeline}export default revenue;\n`;
  installed.write('right.ts', right);
  await typeCheck('right.ts');
  const wrongs: readonly (readonly [string, string, RegExp])[] = [
    ["groupBy('country')", "groupBy('county')", /"county"/],
    ['sum(e.amount)', 'sum(e.amonut)', /'amonut' does not exist/],
    ['sum(e.amount)', 'sum(e.country)', /StringExpression/],
    ["time: 'at'", "time: 'amount'", /"amount"/],
    ["tumbling('10s')", "tumbling('10 sec')", /"10 sec"/],
  ];
  const names = wrongs.map(([from, to], index) => {
    assert.ok(right.includes(from));
    installed.write(`wrong-${index}.ts`, right.replace(from, to));
    return `wrong-${index}.ts`;
  });
  const said = await typeCheck(...names).then(
    () => assert.fail('wrong columns compile'),
    (error: Error) => error.message,
  );
  // Lines that are indented explain the one before them.
  const messages = said.split(/\n(?=\S)/);
  wrongs.forEach(([, , message], index) => {
    const own = messages.filter((text) => text.startsWith(`wrong-${index}.ts(`));
    assert.match(own.join('\n'), message);
  });
});

/** Rejects with what the compiler says. */
async function typeCheck(...files: readonly string[]): Promise<void> {
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024'];
  await installed.node(compiler, ...flags, ...files).catch((error: { stdout: string }) => {
    throw new Error(error.stdout);
  });
}

test('a pipeline runs on host processes that the package starts', async () => {
  installed.write('events.jsonl', '{"name":"a"}\n{"name":"b"}\n{"name":"a"}\n');
  installed.write(
    'names.ts',
    `import { count, files, jsonLines, pipeline, schema, string } from 'mizzle';
    const events = files({ path: 'events.jsonl', schema: schema({ name: string() }) });
    export default pipeline('names')
      .from(events)
      .filterRow((row: { name: string }) => row.name !== 'c')
      .groupBy('name')
      .aggregate(() => ({ n: count() }))
      .to(jsonLines('names-out.jsonl'));\n`,
  );
  await installed.npx('mizzle', 'run', 'names.ts', '--hosts', '2', '--workers', '1', '--quiet');
  const lines = readFileSync(join(installed.folder, 'names-out.jsonl'), 'utf8').trim().split('\n');
  assert.deepEqual(lines.toSorted(), ['{"name":"a","n":2}', '{"name":"b","n":1}']);
});

test('each entry loads, and its declarations need nothing beside them', async () => {
  const paths = Object.keys(exports).filter((path) => path !== './package.json');
  const entries = paths.map((path) => path.replace('.', 'mizzle'));
  installed.write(
    'entries.ts',
    entries.map((entry, index) => `export * as entry${index} from '${entry}';\n`).join(''),
  );
  await installed.node('entries.ts');
  await typeCheck('entries.ts');
});

test('on a Node that is too old the command line says so, with the remedy', async () => {
  const old = `Object.defineProperty(process, 'versions', { value: { node: '20.1.0' } })`;
  const args = ['--import', `data:text/javascript,${encodeURIComponent(old)}`, bin, 'version'];
  await assert.rejects(
    run(process.execPath, args),
    (error: Error & { code: number; stderr: string }) =>
      error.code === 1 && /needs Node 22\.18 or newer[^]*nodejs\.org/.test(error.stderr),
  );
});

test('the command line is parsed by a Node that takes it for CommonJS', () => {
  const text = readFileSync(bin, 'utf8');
  assert.doesNotThrow(() => new Script(text));
  assert.doesNotMatch(text.replace(/\/\/.*/g, ''), /=>|\?\.|\?\?|\b(const|let|await|async)\b|`/);
});
