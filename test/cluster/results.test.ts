// A cluster of real processes gives what one thread gives: over hosts and workers, whoever comes
// first, encrypted or not, to the end or until it is interrupted.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  endAll,
  freePort,
  jobs,
  mizzle,
  portOf,
  Process,
  rowsOf,
  startDriver,
  startWorker,
  temporaryFolder,
} from './processes.fixture.ts';

after(endAll);

const root = join(import.meta.dirname, '..', '..');
const folder = temporaryFolder();
const secret = { MIZZLE_TEST_SECRET: 'a long text that nobody guesses' };

const inlineResults = new Map<string, Promise<readonly string[]>>();

/** What one thread gives. It is the same each time: it runs once. */
function inline(partitions: number, job = 'bounded'): Promise<readonly string[]> {
  const name = `${job}-${partitions}`;
  const result = inlineResults.get(name) ?? runInline(partitions, job);
  inlineResults.set(name, result);
  return result;
}

async function runInline(partitions: number, job: string): Promise<readonly string[]> {
  const out = join(folder, `inline-${job}-${partitions}.jsonl`);
  const own = ['--workers', '0', '--quiet', '--', job, out, String(partitions)];
  const run = mizzle(['run', jobs, ...own]);
  const { code, stderr } = await run.ended;
  assert.equal(code, 0, stderr);
  return rowsOf(out);
}

for (const { hosts, workers, partitions, kind } of [
  { hosts: 3, workers: 2, partitions: 5, kind: 'a file' },
  { hosts: 2, workers: 2, partitions: 9, kind: 'a folder' },
]) {
  const shape = `${hosts} × ${workers} workers, ${partitions} sources, ${kind}`;
  test(`run: ${shape} give the inline result`, async () => {
    const out = join(folder, kind === 'a file' ? `cluster-${hosts}.jsonl` : `cluster-${hosts}/`);
    const options = ['--hosts', String(hosts), '--workers', String(workers), '--quiet', '--json'];
    const run = mizzle(['run', jobs, ...options, '--', 'bounded', out, String(partitions)]);
    const { code, stdout, stderr } = await run.ended;
    assert.equal(code, 0, stderr);
    assert.deepEqual(rowsOf(out), await inline(partitions));
    const summary = JSON.parse(stdout.trim()) as { workers: number; recordsIn: number };
    assert.equal(summary.workers, hosts * workers);
    assert.equal(summary.recordsIn, 4_000);
  });
}

test('run: stages one after the other, in the mode bsp, give the inline result', async () => {
  const out = join(folder, 'bsp.jsonl');
  const options = ['--hosts', '2', '--workers', '2', '--mode', 'bsp', '--quiet'];
  const { code, stderr } = await mizzle(['run', jobs, ...options, '--', 'bounded', out]).ended;
  assert.equal(code, 0, stderr);
  assert.deepEqual(rowsOf(out), await inline(5));
});

for (const mode of ['drizzle', 'bsp']) {
  test(`run: a tree and a broadcast stream give what is known, in the mode ${mode}`, async () => {
    const out = join(folder, `shapes-${mode}.jsonl`);
    const options = ['--hosts', '2', '--workers', '2', '--mode', mode, '--quiet'];
    const run = mizzle(['run', jobs, ...options, '--', 'shapes', out, '7']);
    const { code, stderr } = await run.ended;
    assert.equal(code, 0, stderr);
    const rows = rowsOf(out);
    assert.deepEqual(rows, await inline(7, 'shapes'));
    const totals = rows.map((line) => JSON.parse(line) as { orders: number; revenue: number });
    assert.equal(sumOf(totals.map(({ orders }) => orders)), 4_000);
    assert.equal(sumOf(totals.map(({ revenue }) => revenue)), revenueByRates());
  });
}

/** Of all orders: the first country's rate was broadcast once, the others' twice. */
function revenueByRates(): number {
  const revenues = Array.from({ length: 4_000 }, (_, index) => {
    const country = (index * 5) % 7;
    const rate = country === 0 ? 99 : 2 ** (country - 3);
    return ((index * 37) % 100) * rate;
  });
  return sumOf(revenues);
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

test('a program that runs its pipeline may say `hosts`, functions and all', async () => {
  const program = join(folder, 'program.ts');
  const engine = join(root, 'src', 'index.ts');
  const out = join(folder, 'program.jsonl');
  writeFileSync(
    program,
    `import { jsonLines, memory, pipeline, schema, float64 } from '${engine}';
    const rows = Array.from({ length: 100 }, (_, n) => ({ n }));
    const even = pipeline('even')
      .from(memory(rows, { schema: schema({ n: float64() }) }))
      // A comment and types, which the bundle leaves out.
      .filterRow((row: { n: number }): boolean => row.n % 2 === 0)
      .to(jsonLines(process.argv[2]!, { overwrite: true }));
    const job = await even.run({ hosts: 2, workers: 1 });
    await job.done;\n`,
  );
  const { code, stderr } = await new Process([program, out]).ended;
  assert.equal(code, 0, stderr);
  assert.equal(rowsOf(out).length, 50);
});

test('hosts come before the driver and after it, know a secret, and end with the job', async () => {
  const port = await freePort();
  const options = ['--secret-env', 'MIZZLE_TEST_SECRET'];
  const early = startWorker(port, 2, [...options, '--cache', join(folder, 'code-1')], secret);
  await early.says(/waiting for the driver/);
  const out = join(folder, 'order.jsonl');
  const driver = startDriver({ job: 'bounded', out, workers: 3, port, options, env: secret });
  await driver.says(/joined \(workers=2, missing=1\)/);
  const late = startWorker(port, 1, [...options, '--cache', join(folder, 'code-2')], secret);
  const ends = await Promise.all([driver.ended, early.ended, late.ended]);
  for (const { code, stderr } of ends) assert.equal(code, 0, stderr);
  assert.deepEqual(rowsOf(out), await inline(5));
  for (const { stderr } of ends) assert.ok(!stderr.includes(secret.MIZZLE_TEST_SECRET));
});

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

test(
  'TLS: hosts with certificates of the authority take part, a stranger does not',
  {
    skip: hasOpenssl ? false : 'OPENSSL IS MISSING: TLS between hosts was not tested',
  },
  async () => {
    const good = certificates(join(folder, 'tls'), 'authority');
    const bad = certificates(join(folder, 'stranger'), 'nobody');
    const out = join(folder, 'tls.jsonl');
    const driver = startDriver({ job: 'bounded', out, workers: 2, options: good });
    const port = await portOf(driver);
    const stranger = startWorker(port, 1, [...bad.slice(0, 4), ...good.slice(4)]);
    const plain = startWorker(port, 1);
    const { code: strangerCode, stderr: strangerText } = await stranger.ended;
    assert.equal(strangerCode, 1);
    assert.match(strangerText, /tls-failed|handshake-failed/);
    const { code: plainCode, stderr: plainText } = await plain.ended;
    assert.equal(plainCode, 1);
    assert.match(plainText, /handshake-failed[^]*TLS/);
    const hosts = [startWorker(port, 1, good), startWorker(port, 1, good)];
    for (const { ended } of [driver, ...hosts]) {
      const { code, stderr } = await ended;
      assert.equal(code, 0, stderr);
    }
    assert.deepEqual(rowsOf(out), await inline(5));
  },
);

/** Options that name an authority, and a certificate for 127.0.0.1 that it has signed. */
function certificates(path: string, name: string): readonly string[] {
  const openssl = (line: string): void => {
    execFileSync('openssl', line.split(' '), { stdio: 'ignore' });
  };
  const key = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes';
  openssl(`req -x509 ${key} -subj /CN=${name} -keyout ${path}-ca.key -out ${path}-ca.pem`);
  openssl(
    `req ${key} -subj /CN=host -addext subjectAltName=IP:127.0.0.1 ` +
      `-keyout ${path}-key.pem -out ${path}-request.pem`,
  );
  openssl(
    `x509 -req -in ${path}-request.pem -copy_extensions copy -CA ${path}-ca.pem ` +
      `-CAkey ${path}-ca.key -CAcreateserial -out ${path}-cert.pem`,
  );
  const files = `--tls-cert ${path}-cert.pem --tls-key ${path}-key.pem --tls-ca ${path}-ca.pem`;
  return files.split(' ');
}

test('SIGINT at the driver drains: what was read is exactly what was counted', async () => {
  const out = join(folder, 'drained.jsonl');
  const driver = startDriver({ job: 'endless', out, workers: 4 });
  const port = await portOf(driver);
  const hosts = [startWorker(port, 2), startWorker(port, 2)];
  await hosts[0]!.says(/joined/);
  while (rowsSoFar(out) < 40) await new Promise((resolve) => setTimeout(resolve, 50));
  driver.kill('SIGINT');
  const { code, stdout, stderr } = await driver.ended;
  assert.equal(code, 0, stderr);
  for (const host of hosts) assert.equal((await host.ended).code, 0);
  const { recordsIn, recordsLate } = JSON.parse(stdout.trim()) as Record<string, number>;
  const rows = rowsOf(out).map((line) => JSON.parse(line) as { orders: number });
  assert.ok(recordsIn! > 1000);
  assert.equal(recordsLate, 0);
  assert.equal(
    rows.reduce((sum, { orders }) => sum + orders, 0),
    recordsIn,
  );
});

function rowsSoFar(path: string): number {
  try {
    return rowsOf(path).length;
  } catch {
    return 0;
  }
}

test('SIGINT at a driver that waits ends it and the hosts that came', async () => {
  const driver = startDriver({ job: 'endless', out: join(folder, 'none.jsonl'), workers: 4 });
  const host = startWorker(await portOf(driver), 2);
  await driver.says(/missing=2/);
  driver.kill('SIGINT');
  for (const { ended } of [driver, host]) {
    const { code, stderr } = await ended;
    assert.equal(code, 0, stderr);
  }
});

test('the benchmark on two hosts counts every event exactly', async () => {
  const args = ['examples/ysb.ts', '--hosts', '2', '--workers', '1', '--seconds', '3', '--json'];
  const { code, stdout, stderr } = await new Process(args).ended;
  assert.equal(code, 0, stderr);
  const figures = JSON.parse(stdout.trim().split('\n').at(-1)!) as {
    exact: boolean;
    events: number;
  };
  assert.equal(figures.exact, true);
  assert.equal(figures.events, 300_000);
});
