// What README.md shows is true: its TypeScript compiles, its pipelines run and give the rows it
// shows, and the scripts and files that it names are there.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { entryUrl, jsonRows, mizzle, node, root, temporaryFolder } from '../cli/process.fixture.ts';
import type { Folder } from '../cli/process.fixture.ts';

const readme = readFileSync(join(root, 'README.md'), 'utf8');

type Block = { readonly language: string; readonly text: string };

const blocks: readonly Block[] = [...readme.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map(
  ([, language = '', text = '']) => ({ language, text }),
);

function blocksIn(language: string): readonly string[] {
  return blocks.filter((block) => block.language === language).map(({ text }) => text);
}

/** The module that a block's first line names. */
function moduleNamed(name: string): string {
  const text = blocksIn('ts').find((each) => each.startsWith(`// ${name}\n`));
  return text ?? assert.fail(`README has no ${name}`);
}

function runnable(name: string): string {
  return moduleNamed(name).replaceAll("'mizzle'", `'${entryUrl}'`);
}

/** What fragments take for granted. */
const fragmentPrelude = `
import { float64, jsonLines, pipeline, schema, string, sum } from 'mizzle';
import { timestamp, tumbling } from 'mizzle';
import type { Pipeline, TypedSource } from 'mizzle';
const Event = schema({ user: string(), tags: string(), at: timestamp() });
declare const source: TypedSource<typeof Event.columns>;
declare function isInteresting(user: string, tags: string): boolean;
declare function rate(row: { user: string }): number;
const stream = pipeline('fragment').from(source, { time: 'at' });
const Sale = schema({ currency: string(), amount: float64(), at: timestamp() });
const Rate = schema({ currency: string(), euros: float64() });
declare const sold: TypedSource<typeof Sale.columns>;
declare const rates: TypedSource<typeof Rate.columns>;
declare const orders: Pipeline;
`;

let folder: Folder;

before(() => {
  folder = temporaryFolder();
  const [orders = ''] = blocksIn('json');
  folder.write('orders.jsonl', orders);
});

after(() => folder.remove());

test('README: all its TypeScript compiles', async () => {
  const texts = blocksIn('ts');
  assert.ok(texts.length >= 5, `${texts.length} blocks`);
  const names = texts.map((text, index) => {
    const name = `block-${index}.ts`;
    folder.write(name, text.includes(" from 'mizzle'") ? text : fragmentPrelude + text);
    return name;
  });
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: {
      noUnusedLocals: false,
      typeRoots: [join(root, 'node_modules', '@types')],
      paths: {
        mizzle: [join(root, 'src', 'index.ts')],
        'mizzle/testing': [join(root, 'src', 'testing', 'index.ts')],
        'mizzle/kafka': [join(root, 'src', 'connectors', 'kafka', 'sockets', 'kafka.ts')],
        'mizzle/postgres': [join(root, 'src', 'connectors', 'postgres', 'postgres.ts')],
      },
    },
    include: names,
  };
  folder.write('tsconfig.json', JSON.stringify(config));
  folder.write('package.json', '{ "type": "module" }');
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const { stdout } = await node([compiler, '-p', folder.path], { cwd: folder.path });
  // The sources that the blocks import are checked elsewhere.
  const own = stdout.split('\n').filter((line) => line.startsWith('block-'));
  assert.deepEqual(own, []);
});

test('README: the five-minute pipeline gives the rows that are shown', async () => {
  folder.write('orders.ts', runnable('orders.ts'));
  const { code, stderr } = await mizzle(['run', 'orders.ts'], { cwd: folder.path });
  assert.equal(code, 0, stderr);
  const [, shown = ''] = blocksIn('json');
  const byText = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).toSorted();
  assert.deepEqual(byText(folder.rows('revenue.jsonl')), byText(jsonRows(shown)));

  const again = await mizzle(['run', 'orders.ts'], { cwd: folder.path });
  assert.equal(again.code, 1, 'a second run refuses to overwrite, as README says');
  assert.match(again.stderr, /output-exists[^]*overwrite: true/);
});

test('README: the pipeline reads standard input and shows rows in the terminal, too', async () => {
  const text = runnable('orders.ts')
    .replace('jsonLines,', 'consoleTable,')
    .replace("path: 'orders.jsonl'", "path: '-'")
    .replace("jsonLines('revenue.jsonl')", 'consoleTable()');
  folder.write('piped.ts', text);
  const input = readFileSync(join(folder.path, 'orders.jsonl'), 'utf8');
  const { code, stdout, stderr } = await mizzle(['run', 'piped.ts'], { cwd: folder.path, input });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^country=BR .* orders=1 revenue=80$/m);
});

test('README: the first pipeline runs, and can be explained', async () => {
  const at = '"at":"2026-01-01T10:00:00Z"';
  folder.write('clicks.jsonl', `{"page":"/blog/a",${at}}\n{"page":"/shop",${at}}\n`);
  folder.write('clicks.ts', runnable('clicks.ts'));
  const ran = await mizzle(['run', 'clicks.ts', '--workers', '0'], { cwd: folder.path });
  assert.equal(ran.code, 0, ran.stderr);
  const rows = folder.rows<{ page: string; clicks: number }>('clicks-per-minute.jsonl');
  assert.deepEqual(
    rows.map(({ page, clicks }) => [page, clicks]),
    [['/blog/a', 1]],
  );
  const explained = await mizzle(['explain', 'clicks.ts'], { cwd: folder.path });
  assert.equal(explained.code, 0, explained.stderr);
});

test('README: the program that runs its pipeline itself prints its results', async () => {
  folder.write('totals.ts', runnable('totals.ts'));
  const { code, stdout, stderr } = await node(['totals.ts'], { cwd: folder.path });
  assert.equal(code, 0, stderr);
  const lines = stdout.trimEnd().split('\n');
  assert.equal(lines.pop(), '3 orders');
  assert.deepEqual(lines.toSorted(), ['AT 12.5', 'AT 3.25', 'BR 80']);
});

test('README: the scripts and files that it names are there', () => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    readonly version: string;
    readonly scripts: Readonly<Record<string, string>>;
  };
  const shell = blocksIn('sh').join('');
  for (const [, script = ''] of shell.matchAll(/^npm run (\w+)/gm)) {
    assert.ok(Object.hasOwn(manifest.scripts, script), `npm run ${script}`);
  }
  for (const [, file = ''] of shell.matchAll(/^npm run example (\S+)/gm)) {
    assert.ok(existsSync(join(root, 'examples', file)), `examples/${file}`);
  }
  for (const [tarball] of readme.matchAll(/mizzle-[\d.]+\.tgz/g)) {
    assert.equal(tarball, `mizzle-${manifest.version}.tgz`);
  }
  for (const [file] of readme.matchAll(/\b[A-Z]+\.md\b/g)) {
    assert.ok(existsSync(join(root, file)), file);
  }
});

test('README: every option of the main job that it shows is one', async () => {
  const shown = new Set(
    blocksIn('sh')
      .flatMap((text) => text.split('\n'))
      .filter((line) => line.startsWith('npm start'))
      .flatMap((line) => [...line.matchAll(/--(\w+)/g)].map(([option]) => option)),
  );
  assert.ok(shown.size > 2);
  const { stdout } = await node([join(root, 'examples', 'ysb.ts'), '--help']);
  for (const option of shown) {
    if (option !== '--help') assert.ok(stdout.includes(`  ${option} `), option);
  }
});
