// What goes wrong between the processes of a cluster: the run ends, or a peer is refused, with an
// error that names peer, reason and remedy. Nothing hangs, nothing goes on with a part missing.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Incarnation } from '../../src/control/protocol/ids.ts';
import { protocolVersion } from '../../src/control/protocol/version.ts';
import { Connection } from '../../src/runtime/cluster/connection.ts';
import { introduce } from '../../src/runtime/cluster/handshake-exchange.ts';
import type { Introduction } from '../../src/runtime/cluster/handshake-exchange.ts';
import { ownIdentity } from '../../src/runtime/cluster/identity.ts';
import type { Identity } from '../../src/runtime/cluster/identity.ts';
import type { Ended, Process } from './processes.fixture.ts';
import {
  endAll,
  freePort,
  mizzle,
  portOf,
  rowsOf,
  sleep,
  startDriver,
  startWorker,
  temporaryFolder,
} from './processes.fixture.ts';

after(endAll);

const folder = temporaryFolder();
let runs = 0;

function outFile(): string {
  return join(folder, `out-${runs++}.jsonl`);
}

/** A driver and hosts of a job that never ends, under way. */
async function running(
  options: readonly string[] = [],
  hostOptions: readonly string[] = options,
): Promise<{
  readonly driver: Process;
  readonly hosts: readonly Process[];
}> {
  const driver = startDriver({ job: 'endless', out: outFile(), workers: 4, options });
  const port = await portOf(driver);
  const hosts = [startWorker(port, 2, hostOptions), startWorker(port, 2, hostOptions)];
  for (const host of hosts) await host.says(/joined/);
  // Long enough for the job to be running, and right in any case if it is not yet.
  await sleep(1_500);
  return { driver, hosts };
}

function failed({ code, stderr }: Ended, pattern: RegExp): void {
  assert.equal(code, 1, stderr);
  assert.match(stderr, pattern);
  assert.match(stderr, /hint: /);
}

test('a host that is killed ends the run, which names it, and the other hosts', async () => {
  const { driver, hosts } = await running();
  hosts[1]!.kill('SIGKILL');
  const killed = new RegExp(`lost host "[^"]*-${hosts[1]!.child.pid}-`);
  failed(await driver.ended, /error \[host-lost\]/);
  assert.match(driver.stderr, killed);
  failed(await hosts[0]!.ended, /the driver ended the job/);
  assert.match(hosts[0]!.stderr, killed);
});

test('hosts end with a message when the driver is killed', async () => {
  const { driver, hosts } = await running();
  driver.kill('SIGKILL');
  for (const host of hosts) failed(await host.ended, /error \[driver-lost\]: lost the driver/);
});

test('a host that stands still ends the run once it has been silent for too long', async () => {
  const { driver, hosts } = await running(['--timeout', '2s']);
  hosts[0]!.kill('SIGSTOP');
  failed(await driver.ended, /error \[host-lost\][^]*(said nothing|not read) for 2 s/);
  failed(await hosts[1]!.ended, /the driver ended the job/);
  hosts[0]!.kill('SIGKILL');
});

test('a driver that stands still is given up by its hosts', async () => {
  const { driver, hosts } = await running(['--timeout', '2s']);
  driver.kill('SIGSTOP');
  for (const host of hosts) failed(await host.ended, /error \[driver-lost\][^]*for 2 s/);
  driver.kill('SIGKILL');
});

test('a wrong or missing secret is refused, and the job waits for a right one', async () => {
  const options = ['--secret-env', 'SECRET'];
  const env = { SECRET: 'right' };
  const driver = startDriver({ job: 'bounded', out: outFile(), workers: 1, options, env });
  const port = await portOf(driver);
  failed(
    await startWorker(port, 1, options, { SECRET: 'wrong' }).ended,
    /error \[secret-mismatch\][^]*another secret/,
  );
  failed(await startWorker(port, 1).ended, /error \[secret-missing\][^]*--secret-env/);
  const right = await startWorker(port, 1, options, env).ended;
  assert.equal(right.code, 0, right.stderr);
  const { code, stderr } = await driver.ended;
  assert.equal(code, 0, stderr);
  assert.match(stderr, /turned away 127\.0\.0\.1:\d+/);
});

test('a host with a secret does not trust a driver without one', async () => {
  const driver = startDriver({ job: 'bounded', out: outFile(), workers: 1 });
  const port = await portOf(driver);
  const host = startWorker(port, 1, ['--secret-env', 'SECRET'], { SECRET: 'mine' });
  failed(await host.ended, /error \[secret-mismatch\]/);
  driver.kill('SIGINT');
  await driver.ended;
});

/** Introduces itself to a driver as a test pleases; gives the code it is refused with. */
async function refusalOf(
  port: number,
  own: { readonly identity?: Partial<Identity>; readonly introduction?: Partial<Introduction> },
): Promise<unknown> {
  const socket = connect({ host: '127.0.0.1', port });
  const connection = new Connection({
    peer: 'the driver',
    socket,
    allocate: (bytes) => new Uint8Array(bytes),
    timeoutMs: 5_000,
  });
  try {
    await introduce(connection, {
      identity: { ...ownIdentity(), ...own.identity },
      security: { secret: null, tls: null },
      introduction: {
        role: 'host',
        host: 'test',
        incarnation: 1 as Incarnation,
        planHash: '',
        address: '127.0.0.1',
        port: 1,
        workers: 1,
        ...own.introduction,
      },
    });
    return 'welcome';
  } catch (error) {
    return (error as { readonly code: unknown }).code;
  } finally {
    connection.destroy(null);
  }
}

test('another release, runtime, zone or plan, and too many hosts are refused', async () => {
  const driver = startDriver({ job: 'bounded', out: outFile(), workers: 1 });
  const port = await portOf(driver);
  const refused: readonly (readonly [string, Parameters<typeof refusalOf>[1]])[] = [
    ['release-mismatch', { identity: { release: '0.0.1' } }],
    ['runtime-mismatch', { identity: { runtime: 'node 1' } }],
    ['time-zone-mismatch', { identity: { timeZone: 'Mars/Olympus' } }],
    ['plan-mismatch', { introduction: { planHash: 'of another job' } }],
    ['workers-complete', { introduction: { workers: 2 } }],
    ['workers-complete', { introduction: { workers: 0 } }],
    ['unknown-peer', { introduction: { role: 'peer' } }],
  ];
  for (const [code, own] of refused) assert.equal(await refusalOf(port, own), code);
  const host = await startWorker(port, 1).ended;
  assert.equal(host.code, 0, host.stderr);
  assert.equal((await driver.ended).code, 0);
});

test('garbage to the listening port is turned away, and the job goes on', async () => {
  const driver = startDriver({ job: 'bounded', out: outFile(), workers: 1 });
  const port = await portOf(driver);
  const hello = [0x4d, 0x5a, 0x5a, 0x4c];
  const garbage = [
    Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2, 3]),
    Buffer.from([0, 0, 0, 0]),
    // Hellos of protocol 9, of ours with nothing in it, and cut off for ever.
    Buffer.from([8, 0, 0, 0, ...hello, 9, 0, 0, 0]),
    Buffer.from([6, 0, 0, 0, ...hello, protocolVersion, 0]),
    Buffer.from([60, 0, 0, 0, ...hello]),
    ...Array.from({ length: 40 }, (_, length) => randomBytes(1 + length * 7)),
  ];
  const sockets = garbage.map((bytes) => throwAt(port, bytes));
  const host = await startWorker(port, 1).ended;
  assert.equal(host.code, 0, host.stderr);
  const { code, stderr } = await driver.ended;
  assert.equal(code, 0, stderr);
  assert.match(stderr, /turned away[^]*does not speak our protocol/);
  assert.ok(stderr.includes(`speaks protocol 9, this side ${protocolVersion}`), stderr);
  for (const socket of sockets) socket.destroy();
});

test('garbage and strangers at the port of a host are turned away', async () => {
  const options = ['--status', '127.0.0.1:0'];
  const { driver, hosts } = await running(options, []);
  const place = `http://127.0.0.1:${await driver.says(/status at port (\d+)/)}`;
  const status = await (await fetch(`${place}/status`)).json();
  const { hosts: known } = status as { readonly hosts: readonly { readonly address: string }[] };
  for (const { address } of known) {
    const port = Number(address.split(':')[1]);
    const sockets = [1, 60, 3_000].map((length) => throwAt(port, randomBytes(length)));
    const peer = { role: 'peer' } as const;
    assert.equal(await refusalOf(port, { introduction: peer }), 'plan-mismatch');
    for (const socket of sockets) socket.destroy();
  }
  driver.kill('SIGINT');
  for (const { ended } of [driver, ...hosts]) {
    const { code, stderr } = await ended;
    assert.equal(code, 0, stderr);
  }
  assert.match(hosts[0]!.stderr, /turned away/);
});

test('a host that is lost before the job starts leaves its place to another', async () => {
  const driver = startDriver({ job: 'bounded', out: outFile(), workers: 2 });
  const port = await portOf(driver);
  const lost = startWorker(port, 1);
  await driver.says(/missing=1/);
  lost.kill('SIGKILL');
  await driver.says(/lost host [^]*missing=2/);
  const hosts = [startWorker(port, 1), startWorker(port, 1)];
  for (const { ended } of [driver, ...hosts]) {
    const { code, stderr } = await ended;
    assert.equal(code, 0, stderr);
  }
});

function throwAt(port: number, bytes: Uint8Array): Socket {
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => {
    // The other side hangs up: that is what is wanted.
  });
  socket.write(bytes);
  return socket;
}

/** Joins a driver as a host of one worker that the test plays. */
async function joinAs(host: string, port: number): Promise<Connection> {
  const socket = connect({ host: '127.0.0.1', port });
  const allocate = (bytes: number): Uint8Array => new Uint8Array(bytes);
  const connection = new Connection({ peer: 'driver', socket, allocate, timeoutMs: 5_000 });
  await introduce(connection, {
    identity: ownIdentity(),
    security: { secret: null, tls: null },
    introduction: {
      role: 'host',
      host,
      incarnation: 1 as Incarnation,
      planHash: '',
      address: '127.0.0.1',
      port: 1,
      workers: 1,
    },
  });
  return connection;
}

test('a host that was let in and then sends garbage ends the run, which names it', async () => {
  const driver = startDriver({ job: 'endless', out: outFile(), workers: 2 });
  const port = await portOf(driver);
  const host = startWorker(port, 1);
  await driver.says(/missing=1/);
  const connection = await joinAs('liar', port);
  connection.send([randomBytes(100).fill(0xee, 0, 1)]);
  failed(await driver.ended, /error \[host-lost\][^]*host "liar"[^]*could not read/);
  connection.destroy(null);
  failed(await host.ended, /the driver ended the job/);
});

test('a durable run whose host is lost before its workers have joined takes another', async () => {
  const out = outFile();
  const checkpoints = ['--checkpoints', join(folder, 'store')];
  const driver = startDriver({ job: 'endless', out, workers: 2, options: checkpoints });
  const port = await portOf(driver);
  const host = startWorker(port, 1);
  await driver.says(/missing=1/);
  const lost = await joinAs('lost', port);
  lost.listen({ onFrame: () => lost.destroy(null), onClosed: () => {} });
  await driver.says(/warn: lost host "lost"/);
  const other = startWorker(port, 1);
  while (!existsSync(out) || rowsOf(out).length === 0) {
    assert.equal(driver.child.exitCode, null, driver.stderr);
    await sleep(50);
  }
  driver.kill('SIGINT');
  for (const each of [driver, host, other]) {
    const { code, stderr } = await each.ended;
    assert.equal(code, 0, stderr);
  }
});

test('a function that throws at a host fails the job everywhere with its cause', async () => {
  const driver = startDriver({ job: 'throwing', out: outFile(), workers: 2 });
  const host = startWorker(await portOf(driver), 2);
  const ended = await driver.ended;
  assert.equal(ended.code, 1);
  assert.match(ended.stderr, /error \[user-function\][^]*no such country/);
  const hostEnded = await host.ended;
  assert.equal(hostEnded.code, 1);
  assert.match(hostEnded.stderr, /the driver ended the job[^]*no such country/);
});

test('a worker thread that ends fails the job, which names worker and host', async () => {
  const driver = startDriver({ job: 'exiting', out: outFile(), workers: 2 });
  const host = startWorker(await portOf(driver), 2);
  failed(
    await driver.ended,
    /error \[worker-lost\]: worker \d ended with exit code 3[^]*host: host/,
  );
  failed(await host.ended, /the driver ended the job/);
});

test('a module that builds another plan each time is refused at the hosts', async () => {
  const driver = startDriver({ job: 'unsteady', out: outFile(), workers: 1 });
  const host = startWorker(await portOf(driver), 1);
  failed(await driver.ended, /error \[plan-mismatch\][^]*no clock, no random/);
  failed(await host.ended, /plan-mismatch/);
});

test('what cannot be bundled is refused before anything listens', async () => {
  const pipeline = join(folder, 'native.ts');
  writeFileSync(join(folder, 'addon.node'), 'x');
  writeFileSync(pipeline, "import './addon.node';\nimport 'no-such-package';\n");
  const driver = mizzle(['driver', pipeline, '--listen', '127.0.0.1:0', '--workers', '1']);
  const ended = await driver.ended;
  failed(ended, /error \[bundle-failed\][^]*addon\.node[^]*native add-ons/);
  assert.match(ended.stderr, /no-such-package/);
  assert.doesNotMatch(ended.stderr, /waiting for/);
});

test('standard input, which hosts do not have, is refused on a cluster', async () => {
  const pipeline = join(folder, 'stdin.ts');
  writeFileSync(
    pipeline,
    "import { collect, files, pipeline, schema, string } from 'mizzle';\n" +
      "const events = files({ path: '-', schema: schema({ name: string() }) });\n" +
      "export default pipeline('stdin').from(events).to(collect());\n",
  );
  failed(await mizzle(['run', pipeline, '--hosts', '2']).ended, /error \[source-not-shared\]/);
});

test('listening beyond this machine without TLS or a secret is refused', async () => {
  const listen = ['--listen', '0.0.0.0:0', '--workers', '1'];
  const jobs = join(import.meta.dirname, 'jobs.fixture.ts');
  const driver = mizzle(['driver', jobs, ...listen, '--', 'bounded', outFile()]);
  failed(await driver.ended, /error \[insecure-listen\][^]*--secret-env[^]*--insecure/);
});

test('a host gives up a driver that never comes, and says where it looked', async () => {
  const port = await freePort();
  const host = startWorker(port, 1, ['--wait', '300ms']);
  failed(
    await host.ended,
    new RegExp(`error \\[driver-unreachable\\][^]*127\\.0\\.0\\.1:${port} within 0\\.3 s`),
  );
});

test('command lines that make no sense are refused with 2 and say what is meant', async () => {
  const cases: readonly (readonly [RegExp, readonly string[]])[] = [
    [/--listen is missing[^]*HOST:PORT/, ['driver', 'x.ts', '--workers', '1']],
    [/--workers is missing/, ['driver', 'x.ts', '--listen', '127.0.0.1:1']],
    [/"nowhere" is no address/, ['worker', '--connect', 'nowhere']],
    [
      /no variable "NO_SUCH_SECRET"/,
      ['worker', '--connect', 'a:1', '--secret-env', 'NO_SUCH_SECRET'],
    ],
    [/TLS needs a certificate and its key/, ['worker', '--connect', 'a:1', '--tls-ca', 'x']],
    [/a worker takes no file/, ['worker', 'x.ts', '--connect', 'a:1']],
  ];
  const ends = await Promise.all(cases.map(([, args]) => mizzle(args).ended));
  cases.forEach(([pattern], index) => {
    const { code, stderr } = ends[index]!;
    assert.equal(code, 2, stderr);
    assert.match(stderr, pattern);
  });
});
