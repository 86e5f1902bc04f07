// A driver that takes over, and hosts that the test plays: who hears of whom, by which numbers.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import type { DriverEvent } from '../../control/driver/events.ts';
import type { Introduction } from './handshake-exchange.ts';
import type { HostMessage } from '../../control/protocol/host-messages.ts';
import { readHostMessage } from '../../control/protocol/host-messages.ts';
import type { Incarnation, WorkerId } from '../../control/protocol/ids.ts';
import type { StreamErrorData } from '../../base/stream-error.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { JobMonitor } from '../../observe/job-monitor.ts';
import type { ClientSinks } from '../host/client-sinks.ts';
import type { DriverShell } from '../host/driver-shell.ts';
import type { JobConfig } from '../host/job-config.ts';
import type { JobSetup } from '../host/job-setup.ts';
import type { ClusterOptions } from './cluster-options.ts';
import { Connection } from './connection.ts';
import { DriverHosts } from './driver-hosts.ts';
import { introduce } from './handshake-exchange.ts';
import { ownIdentity } from './identity.ts';
import type { JobDescription } from './job-description.ts';
import type { ReturnedHost } from './returning-hosts.ts';
import { jobHash } from './returning-hosts.ts';
import { noSecurity } from './security.ts';

const planHash = 'p';
const config = {
  planHash,
  compares: 'plan',
  mode: 'drizzle',
  history: 'h',
  startMs: 0,
  partitions: 1,
  sourcePartitions: {},
  partitionCounts: [],
  layouts: {},
  ledgers: {},
} as unknown as JobConfig;
const timeoutMs = 5_000;
const ends: (() => unknown)[] = [];
after(() => Promise.all(ends.map((end) => end())));

type Driver = {
  readonly hosts: DriverHosts;
  readonly port: number;
  readonly events: DriverEvent[];
};

/** A driver that goes on with a history, for so many workers. */
async function driverOf(threads: number): Promise<Driver> {
  const events: DriverEvent[] = [];
  const listening = Promise.withResolvers<number>();
  const setup = {
    threads,
    config,
    plan: { sources: [], sinks: [], exchanges: [] },
    clock: { nowMs: () => 0 },
    durable: { latest: {} },
  };
  const cluster = {
    listen: { host: '127.0.0.1', port: 0 },
    security: noSecurity,
    timeoutMs,
    mayReturn: true,
    bundle: { hash: 'c', code: new Uint8Array(1) },
    argv: [],
    log: () => {},
    onListening: listening.resolve,
  };
  const hosts = new DriverHosts({
    setup: setup as unknown as JobSetup,
    cluster: cluster as unknown as ClusterOptions,
    driver: { step: (event: DriverEvent) => events.push(event) } as unknown as DriverShell,
    monitor: { startsAt: () => {} } as unknown as JobMonitor,
    sinks: {} as unknown as ClientSinks,
  });
  ends.push(() => hosts.shutDown(false));
  await hosts.listen();
  return { hosts, port: await listening.promise, events };
}

class PlayedHost {
  readonly name: string;
  readonly workers: number;
  readonly heard: HostMessage[] = [];
  readonly #connection: Connection;
  #awaits: (() => void) | null = null;

  private constructor(name: string, workers: number, connection: Connection) {
    this.name = name;
    this.workers = workers;
    this.#connection = connection;
    connection.open(() => 0);
    connection.listen({
      onFrame: (frame) => {
        const decoded = readHostMessage(frame);
        assert.ok(decoded.ok);
        this.heard.push(decoded.value);
        this.#awaits?.();
      },
      onClosed: () => {},
    });
    ends.push(() => connection.destroy(null));
  }

  static async come(
    { port }: Driver,
    name: string,
    { workers = 1, role = 'host' }: Partial<Pick<Introduction, 'workers' | 'role'>> = {},
  ): Promise<PlayedHost> {
    const socket = connect({ host: '127.0.0.1', port });
    const allocate = (bytes: number): Uint8Array => new Uint8Array(bytes);
    const connection = new Connection({ peer: 'driver', socket, allocate, timeoutMs });
    const address = { address: '127.0.0.1', port: 1 };
    const life = { incarnation: 1 as Incarnation, planHash };
    await introduce(connection, {
      identity: ownIdentity(),
      security: noSecurity,
      introduction: { role, host: name, ...life, ...address, workers },
    });
    return new PlayedHost(name, workers, connection);
  }

  tell(message: HostMessage): void {
    this.#connection.tell(message);
  }

  brings(
    firstWorker: number,
    hosts: readonly string[],
    nextWorker: number,
    job = jobHash(config),
  ): void {
    const numbers = Array.from({ length: this.workers }, (_, index) => firstWorker + index);
    const own = { firstWorker, workerCount: this.workers, workers: numbers };
    const said: ReturnedHost = { job, ...own, hosts, nextWorker };
    this.tell({ kind: 'returned', text: JSON.stringify(said) });
  }

  async hears<Kind extends HostMessage['kind']>(
    kind: Kind,
  ): Promise<Extract<HostMessage, { kind: Kind }>> {
    for (;;) {
      const found = this.heard.find((message) => message.kind === kind);
      if (found !== undefined) return found as Extract<HostMessage, { kind: Kind }>;
      await new Promise<void>((resolve) => {
        this.#awaits = resolve;
      });
    }
  }

  async job(): Promise<JobDescription> {
    return JSON.parse((await this.hears('job')).text) as JobDescription;
  }
}

function joined({ events }: Driver): readonly number[] {
  return events.flatMap((event) => (event.kind === 'worker-joined' ? [event.worker] : []));
}

const error: StreamErrorData = {
  code: 'host-lost',
  message: 'lost',
  hint: null,
  fields: {},
  stack: null,
};

test('DriverHosts tells new hosts of each other under the numbers that they have', async () => {
  const driver = await driverOf(4);
  const fresh = [await PlayedHost.come(driver, 'x'), await PlayedHost.come(driver, 'y')];
  const back = await PlayedHost.come(driver, 'a', { role: 'returning', workers: 2 });
  back.brings(0, [], 2);
  const jobs = await Promise.all(fresh.map((host) => host.job()));
  for (const { hosts } of jobs) {
    const numbers = hosts.map(({ firstWorker }) => firstWorker);
    assert.equal(new Set(numbers).size, numbers.length, `numbers ${numbers.join()}`);
  }
  const entry = JSON.parse((await fresh[0]!.hears('host-added')).text) as { firstWorker: number };
  assert.equal(entry.firstWorker, 3);
  assert.deepEqual(joined(driver), [0, 1]);
});

test('DriverHosts goes on without a host whose connection broke before all were back', async () => {
  const driver = await driverOf(4);
  const [left, right] = [
    await PlayedHost.come(driver, 'left', { role: 'returning' }),
    await PlayedHost.come(driver, 'right', { role: 'returning' }),
  ];
  left.brings(4, ['right', 'away'], 6);
  right.brings(5, ['left', 'away'], 6);
  left.tell({ kind: 'peer-lost', host: 'right', error });
  await right.hears('start-over');
  const late = await PlayedHost.come(driver, 'late');
  const { hosts } = await late.job();
  assert.deepEqual(joined(driver), [4]);
  assert.deepEqual(
    hosts.map(({ firstWorker }) => firstWorker),
    [4, 6],
  );
});

test('DriverHosts takes a host whose workers have all ended for a new one', async () => {
  const driver = await driverOf(1);
  const back = await PlayedHost.come(driver, 'a', { role: 'returning' });
  back.brings(0, ['away'], 1);
  back.tell({ kind: 'closed', worker: 0 as WorkerId });
  await back.hears('start-over');
  assert.deepEqual(driver.events, []);
  // The driver has its one worker again.
  const again = await PlayedHost.come(driver, 'b');
  const { hosts } = await again.job();
  assert.deepEqual(
    hosts.map(({ host, firstWorker }) => [host, firstWorker]),
    [['b', 1]],
  );
});

test('DriverHosts has a host whose last worker was given up begin anew', async () => {
  const driver = await driverOf(1);
  const back = await PlayedHost.come(driver, 'a', { role: 'returning', workers: 2 });
  back.brings(0, [], 2);
  const other = await PlayedHost.come(driver, 'b');
  await other.job();
  const silent = new StreamError({ code: 'worker-silent', message: 'silent' });
  driver.hosts.evicted(0 as WorkerId, silent);
  driver.hosts.evicted(1 as WorkerId, silent);
  await back.hears('start-over');
  assert.equal((await other.hears('host-removed')).host, 'a');
});

test('DriverHosts has a host that worked in another mode begin anew', async () => {
  const driver = await driverOf(1);
  const back = await PlayedHost.come(driver, 'a', { role: 'returning' });
  back.brings(0, [], 1, jobHash({ ...config, mode: 'bsp' }));
  const { error: why } = await back.hears('start-over');
  assert.match(why.message, /mode/);
  assert.deepEqual(driver.events, []);
});
