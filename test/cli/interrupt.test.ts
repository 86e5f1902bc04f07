// Ctrl-C: the first drains and loses nothing, the second ends at once. And what a person sees on a
// terminal.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { entryUrl, lastLine, mizzleBin, Started, startNode } from './process.fixture.ts';
import { temporaryFolder } from './process.fixture.ts';
import type { Folder } from './process.fixture.ts';

const escape = '\u001b';

let folder: Folder;

before(() => {
  folder = temporaryFolder();
  folder.write(
    'endless.ts',
    `import { count, forEach, generator, int32, jsonLines, pipeline, schema, string, timestamp,
  tumbling } from '${entryUrl}';
const Tick = schema({ key: string(), n: int32(), at: timestamp('ms') });
const ticks = generator({
  schema: Tick,
  eventsPerSecond: 5000,
  partitions: 2,
  rows: (n, at) => ({ key: \`k\${n % 3}\`, n, at }),
});
const counts = pipeline('endless')
  .from(ticks, { time: 'at' })
  .groupBy('key')
  .window(tumbling('100ms'))
  .aggregate(() => ({ ticks: count() }));
// Says when the first rows are there, and then never lets go of them.
const stuck = forEach(() => {
  console.log('rows');
  return new Promise(() => {});
});
const seen = forEach(() => console.log('rows'));
export default process.env.STUCK === 'yes'
  ? counts.to(stuck)
  : counts.to(jsonLines('ticks.jsonl', { overwrite: true })).with(counts.to(seen));
`,
  );
});

after(() => folder.remove());

test('run: an interrupt drains an endless pipeline, exactly', async () => {
  for (const workers of ['0', '2']) {
    const args = [mizzleBin, 'run', 'endless.ts', '--json', '--workers', workers];
    const started = startNode(args, { cwd: folder.path });
    await started.wrote(/rows\n/);
    started.interrupt();
    const { code, stdout, stderr } = await started.ended;
    assert.equal(code, 0, stderr);
    assert.match(stderr, /finishing what was read/);
    const summary = JSON.parse(lastLine(stdout)) as {
      readonly recordsIn: number;
      readonly recordsLate: number;
      readonly offsets: readonly { readonly to: number }[];
    };
    const rows = folder.rows<{ key: string; windowStart: number; ticks: number }>('ticks.jsonl');
    const counted = rows.reduce((sum, row) => sum + row.ticks, 0);
    const read = summary.offsets.reduce((sum, { to }) => sum + to, 0);
    assert.ok(read > 0);
    assert.equal(counted, read, 'events read and events counted');
    assert.equal(summary.recordsIn, read);
    assert.equal(summary.recordsLate, 0);
    const keys = new Set(rows.map((row) => `${row.key}@${row.windowStart}`));
    assert.equal(keys.size, rows.length, 'a window came twice');
  }
});

test('run: a growing file is followed until an interrupt', async () => {
  const line = (second: number): string => `{"at":${second * 1000}}\n`;
  const path = folder.write('growing.jsonl', line(0));
  folder.write(
    'follow.ts',
    `import { count, files, forEach, jsonLines, pipeline, schema, timestamp, tumbling }
  from '${entryUrl}';
const growing = files({ path: 'growing.jsonl', follow: true, schema: schema({ at: timestamp() }) });
const seconds = pipeline('follow')
  .from(growing, { time: 'at' })
  .window(tumbling('1s'))
  .aggregate(() => ({ events: count() }));
export default seconds
  .to(jsonLines('seconds.jsonl', { overwrite: true }))
  .with(seconds.to(forEach(({ windowStart }) => console.log(\`second \${windowStart / 1000}\`))));
`,
  );
  const started = startNode([mizzleBin, 'run', 'follow.ts', '--quiet'], { cwd: folder.path });
  appendFileSync(path, line(1));
  await started.wrote(/^second 0\n/);
  appendFileSync(path, line(2) + line(2) + line(3));
  await started.wrote(/second 2\n/);
  started.interrupt();
  const { code, stderr } = await started.ended;
  assert.equal(code, 0, stderr);
  const rows = folder.rows<{ windowStart: number; events: number }>('seconds.jsonl');
  assert.deepEqual(
    rows.map(({ windowStart, events }) => [windowStart / 1000, events]),
    [
      [0, 1],
      [1, 1],
      [2, 2],
      [3, 1],
    ],
  );
});

test('run: a second interrupt ends at once with exit code 130', async () => {
  for (const workers of ['0', '2']) {
    const args = [mizzleBin, 'run', 'endless.ts', '--workers', workers];
    const started = startNode(args, { cwd: folder.path, env: { STUCK: 'yes' } });
    await started.wrote(/rows\n/);
    started.interrupt();
    await started.wrote(/interrupt again to end at once/);
    started.interrupt();
    assert.equal((await started.ended).code, 130);
  }
});

const hasScript =
  spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') === true;
const skip = hasScript ? false : 'SKIPPED: no terminal to test on, util-linux "script" is missing';

test('run: a terminal shows a view that redraws, then the summary', { skip }, async () => {
  folder.write(
    'bounded.ts',
    `import { count, generator, jsonLines, pipeline, schema, timestamp, tumbling }
  from '${entryUrl}';
const Tick = schema({ at: timestamp('ms') });
const ticks = generator({
  schema: Tick,
  eventsPerSecond: 2000,
  seconds: 1,
  rows: (_, at) => ({ at }),
});
export default pipeline('bounded')
  .from(ticks, { time: 'at' })
  .window(tumbling('200ms'))
  .aggregate(() => ({ ticks: count() }))
  .to(jsonLines('bounded.jsonl', { overwrite: true }));
`,
  );
  const screen = await onTerminal('run bounded.ts --workers 0');
  const clearUp = new RegExp(`${escape}\\[\\d+A${escape}\\[0J`, 'g');
  assert.ok((screen.match(clearUp) ?? []).length >= 2, JSON.stringify(screen));
  assert.match(screen, /state +running.*\r\n/);
  assert.match(screen, /watermark +20.*Z/);
  // What is left in the end is the summary alone.
  assert.match(screen.split(clearUp).at(-1) ?? '', /^pipeline bounded: done in .*2,000 records in/);
});

test('demo: a terminal shows a table that redraws, and no other view', { skip }, async () => {
  const screen = await onTerminal('demo --seconds 1');
  assert.match(screen, new RegExp(`${escape}\\[\\d+A`));
  assert.match(screen, /country +windowStart/);
  assert.doesNotMatch(screen, /micro-batch +\d/);
  const table = screen.slice(screen.lastIndexOf('country'));
  for (const country of ['Austria', 'Brazil', 'Japan']) assert.match(table, new RegExp(country));
});

async function onTerminal(command: string): Promise<string> {
  const line = `'${process.execPath}' '${mizzleBin}' ${command}`;
  const started = new Started(['script', '-qec', line, '/dev/null'], {
    cwd: folder.path,
    env: { TERM: 'xterm' },
  });
  const { code, stdout, stderr } = await started.ended;
  assert.equal(code, 0, stdout + stderr);
  return stdout;
}
