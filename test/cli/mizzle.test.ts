// The command line as a process: help, exit codes, errors, `run`, `explain`, `demo`.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { entryUrl, lastLine, mizzle, node, root, temporaryFolder } from './process.fixture.ts';
import type { Ended, Folder } from './process.fixture.ts';

const names =
  'collect, count, files, forEach, generator, hopping, int32, jsonLines, pipeline, schema, ' +
  'string, timestamp, tumbling';

let folder: Folder;

/** A pipeline over `clicks.jsonl`; `steps` go between source and sink. */
function clicksPipeline(steps: string, before = 'export default '): string {
  return `import { ${names} } from '${entryUrl}';
const Click = schema({ page: string(), at: timestamp() });
${before}pipeline('clicks')
  .from(files({ path: 'clicks.jsonl', schema: Click }), { time: 'at' })
${steps}
  .to(jsonLines('out.jsonl', { overwrite: true }));
`;
}

const perMinute =
  "  .groupBy('page').window(tumbling('1m')).aggregate(() => ({ clicks: count() }))";

const clicks = '{"page":"/a","at":0}\n{"page":"/a","at":1000}\n{"page":"/b","at":61000}\n';

const expectedRows = [
  { page: '/a', windowStart: 0, windowEnd: 60_000, clicks: 2 },
  { page: '/b', windowStart: 60_000, windowEnd: 120_000, clicks: 1 },
];

before(() => {
  folder = temporaryFolder();
  folder.write('clicks.jsonl', clicks);
  folder.write('clicks.ts', clicksPipeline(perMinute));
});

after(() => folder.remove());

async function run(...args: readonly string[]): Promise<Ended> {
  return mizzle(args, { cwd: folder.path });
}

function assertPlain({ stdout, stderr }: Ended): void {
  assert.ok(!(stdout + stderr).includes('\u001b'), 'escape codes where there is no terminal');
}

test('mizzle: help lists the commands and each command explains its options', async () => {
  const [overview, none, ...helps] = await Promise.all([
    run('--help'),
    run(),
    run('run', '--help'),
    run('help', 'explain'),
    run('demo', '-h'),
    run('version', '--help'),
  ]);
  assert.equal(overview?.code, 0);
  for (const name of ['run', 'explain', 'demo', 'version']) {
    assert.match(overview?.stdout ?? '', new RegExp(`^  ${name} `, 'm'));
  }
  assert.equal(none?.code, 2, 'no command is a mistake, but shows the same help');
  assert.equal(none?.stdout, overview?.stdout);
  for (const [index, name] of ['run', 'explain', 'demo', 'version'].entries()) {
    const { code, stdout, stderr } = helps[index]!;
    assert.equal(code, 0);
    assert.equal(stderr, '');
    assert.match(stdout, new RegExp(`^mizzle ${name}\\b`));
  }
  assert.match(helps[0]?.stdout ?? '', /--workers N .*default 2[^]*Exit codes[^]*Example/);
});

test('mizzle: the pipeline that help shows is one that runs', async () => {
  const { stdout } = await run('--help');
  const shown =
    /^ {2}import[^]*?\.to\(.*\);$/m.exec(stdout)?.[0] ?? assert.fail('help shows no pipeline');
  folder.write('shown.ts', shown.replaceAll("'mizzle'", `'${entryUrl}'`));
  const { code, stderr } = await run('run', 'shown.ts', '--workers', '0');
  assert.equal(code, 0, stderr);
  assert.deepEqual(folder.rows('clicks-per-minute.jsonl'), expectedRows);
});

test('mizzle: version says the versions of the package and of Node', async () => {
  const manifest = readFileSync(join(root, 'package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  for (const word of ['version', '--version', '-v']) {
    const { code, stdout } = await run(word);
    assert.equal(code, 0);
    assert.ok(stdout.startsWith(`mizzle ${version}, node ${process.versions.node}, `), stdout);
  }
});

test('mizzle: a wrong command line is exit code 2 with a hint', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['rum', 'clicks.ts'], /command "rum"\n {2}hint: did you mean `mizzle run`\?/],
    [['compile'], /command "compile"\n {2}hint: commands: run, .*explain, demo, version/],
    [['run', 'clicks.ts', '--wrokers', '2'], /'--wrokers'\n {2}hint: did you mean --workers\?/],
    [['run', 'clicks.ts', '--workers', 'many'], /"many" as --workers\n {2}hint: give a number/],
    [['run'], /no pipeline file given\n {2}hint: `mizzle run my-pipeline\.ts`/],
    [['explain', 'a.ts', 'b.ts'], /several files given/],
  ];
  const results = await Promise.all(cases.map(async ([args]) => run(...args)));
  for (const [index, { code, stdout, stderr }] of results.entries()) {
    const [args, expected] = cases[index]!;
    assert.equal(code, 2, `mizzle ${args.join(' ')}: ${stderr}`);
    assert.equal(stdout, '');
    assert.match(stderr, expected);
    assert.doesNotMatch(stderr, /^\s+at /m, 'a stack');
  }
});

test('run: a default export in worker threads, with the summary as last line', async () => {
  const ended = await run('run', 'clicks.ts', '--json');
  assert.equal(ended.code, 0, ended.stderr);
  assertPlain(ended);
  assert.deepEqual(folder.rows('out.jsonl'), expectedRows);
  const summary = JSON.parse(lastLine(ended.stdout)) as Record<string, unknown>;
  assert.equal(summary['state'], 'finished');
  assert.equal(summary['workers'], 2);
  assert.equal(summary['recordsIn'], 3);
  assert.equal(summary['rowsOut'], 2);
  assert.match(ended.stderr, /^pipeline clicks: done in .* 3 records in .* 2 rows out/m);
});

test('run: a module that calls run itself stops there, and its options do not count', async () => {
  const code =
    "const job = await clicks.run({ workers: 1 });\nawait job.done;\nconsole.log('ran');\n";
  folder.write('runs.ts', clicksPipeline(perMinute, 'const clicks = ') + code);
  const ended = await run('run', 'runs.ts', '--workers', '2', '--json', '--quiet');
  assert.equal(ended.code, 0, ended.stderr);
  assert.equal(ended.stderr, '');
  assert.doesNotMatch(ended.stdout, /^ran$/m);
  assert.equal((JSON.parse(lastLine(ended.stdout)) as { workers: number }).workers, 2);
  assert.deepEqual(folder.rows('out.jsonl'), expectedRows);

  const alone = await node(['runs.ts'], { cwd: folder.path });
  assert.equal(alone.code, 0, alone.stderr);
  assert.equal(alone.stdout, 'ran\n');
});

test('run: arguments behind -- are those of the pipeline, in threads, too', async () => {
  const steps = '  .filterRow((row) => row.page === process.argv[2])\n' + perMinute;
  folder.write('arguments.ts', clicksPipeline(steps));
  const ended = await run('run', 'arguments.ts', '--quiet', '--', '/b', '--help');
  assert.equal(ended.code, 0, ended.stderr);
  assert.deepEqual(folder.rows('out.jsonl'), expectedRows.slice(1));

  const ysb = join(root, 'examples', 'ysb.ts');
  const explained = await run('explain', ysb, '--no-kernels', '--', '--window', '7s');
  assert.match(explained.stdout, /tumbling 7 s/);
});

test('run: what is wrong with a pipeline file is exit code 1 and says so', async () => {
  folder.write('syntax.ts', 'const x = ;\n');
  folder.write('none.ts', 'export const pipeline = 1;\n');
  folder.write('throws.ts', "throw new Error('no database here');\n");
  folder.write(
    'invalid.ts',
    clicksPipeline(
      "  .filter((e) => e.pgae.eq('x'))\n" +
        "  .groupBy('page').window(hopping('10s', '30s')).aggregate(() => ({ n: count() }))",
    ),
  );
  const cases: readonly (readonly [string, RegExp])[] = [
    ['nowhere.ts', /^error \[file-not-found\]: .*"nowhere\.ts": there is no such file\n[^]*hint: /],
    ['syntax.ts', /syntax\.ts:1\nconst x = ;\n[^]*SyntaxError/],
    ['none.ts', /^error \[no-pipeline\]: .*"none\.ts"\n[^]*hint: .*export default pipeline/],
    ['throws.ts', /no database here\n\s+at .*throws\.ts:1:7/],
    [
      'invalid.ts',
      new RegExp(
        '^error \\[invalid-pipeline\\]: .*"clicks": 2 mistakes\n' +
          '.*/invalid\\.ts:5:4: there is no column "pgae"\n\\s+hint: did you mean "page"\\?\n' +
          '[^]*/invalid\\.ts:6:27: the hop \\(30000 ms\\) is longer than the window\n\\s+hint: ',
      ),
    ],
  ];
  const results = await Promise.all(cases.map(async ([file]) => run('run', file)));
  for (const [index, ended] of results.entries()) {
    const [file, expected] = cases[index]!;
    assert.equal(ended.code, 1, file);
    assert.match(ended.stderr, expected);
    assert.doesNotMatch(ended.stderr, /node:internal/, "frames that are not the user's");
    assertPlain(ended);
  }
});

test('run: a malformed record names file, offset, column and bytes', async () => {
  folder.write('bad.ts', clicksPipeline(perMinute).replace('clicks.jsonl', 'bad.jsonl'));
  folder.write('bad.jsonl', `${clicks}{"page":7,"at":2000}\n`);
  for (const workers of ['0', '2']) {
    const { code, stderr } = await run('run', 'bad.ts', '--workers', workers);
    assert.equal(code, 1);
    // The offset is that of the value.
    const offset = clicks.length + '{"page":'.length;
    assert.ok(stderr.includes(`at bad.jsonl, offset ${offset}: field "page"`), stderr);
    assert.ok(stderr.includes(JSON.stringify('{"page":7,"at":2000}')), stderr);
    assert.match(stderr, /column: page\b/);
    assert.match(stderr, /hint: .*onError/);
  }
});

test('run: a function that throws is named by operator, record and line', async () => {
  const steps = "  .filterRow((row) => {\n    throw new RangeError('too far');\n  })";
  folder.write('throwing.ts', clicksPipeline(steps));
  const { code, stderr } = await run('run', 'throwing.ts');
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^error \[user-function\]: .*"filter#0" failed at clicks\.jsonl, offset 0: too far/,
  );
  assert.match(stderr, /thrownAt: .*throwing\.ts:6:11/);
});

test('run: input that is not there is exit code 1 and named', async () => {
  folder.write('absent.ts', clicksPipeline(perMinute).replace('clicks.jsonl', 'absent.jsonl'));
  const { code, stderr } = await run('run', 'absent.ts');
  assert.equal(code, 1);
  assert.match(stderr, /^error \[file-not-found\]: .*absent\.jsonl/);
});

test('explain: shows both plans and the kernels and runs nothing', async () => {
  const steps = `  .filterRow((row) => row.page !== '/secret')\n${perMinute}`;
  folder.write('explained.ts', clicksPipeline(steps).replace("'out.jsonl'", "'unwritten.jsonl'"));
  const [all, plans] = await Promise.all([
    run('explain', 'explained.ts'),
    run('explain', 'explained.ts', '--no-kernels', '--partitions', '3'),
  ]);
  assert.equal(all?.code, 0, all?.stderr);
  assertPlain(all!);
  assert.match(all?.stdout ?? '', /^logical plan of "clicks"\n[^]*^physical plan of "clicks": /m);
  assert.match(all?.stdout ?? '', /filter .*opaque|lambda/);
  assert.match(all?.stdout ?? '', /^kernel of stage 0\n\n[^]*for \(let row = 0/m);
  assert.doesNotMatch(plans?.stdout ?? '', /kernel of stage/);
  assert.match(plans?.stdout ?? '', /stage 1, 3 partitions/);
  assert.throws(() => folder.rows('unwritten.jsonl'));
});

test('demo: prints rows, ends by itself, and shows its code', async () => {
  const [ended, code] = await Promise.all([run('demo', '--seconds', '1'), run('demo', '--code')]);
  assert.equal(ended?.code, 0, ended?.stderr);
  assertPlain(ended!);
  assert.match(ended?.stdout ?? '', /^country=\w+ windowStart=.*Z .*orders=\d+ revenue=[\d.]+ /m);
  assert.match(ended?.stderr ?? '', /^pipeline demo: done in .* 2,000 records in/m);
  assert.match(code?.stdout ?? '', /^pipeline\('demo'\)/);
});
