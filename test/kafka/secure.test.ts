// Source, sink and range log through TLS and logins, against a broker whose certificates are made
// here; and what users are told who come by the wrong door, which must be soon and for good.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openKafkaLog } from '../../src/connectors/kafka/sockets/open-range-log.ts';
import { kafkaSink, kafkaSource } from '../../src/connectors/kafka/sockets/kafka.ts';
import type { KafkaAddress } from '../../src/connectors/kafka/sockets/kafka.ts';
import type { StreamError } from '../../src/index.ts';
import { collect, int32, memory, pipeline, schema } from '../../src/index.ts';
import { range } from '../../src/runtime/storage/range-log.fixture.ts';
import { newAuthority } from './certificates.fixture.ts';
import { kafkaMissing, startKafka } from './kafka-server.fixture.ts';
import type { KafkaServer } from './kafka-server.fixture.ts';
import { setScramPassword } from './scram-user.fixture.ts';

/** An address, and the code, the message and the hint of what comes of it. */
type Wrong = readonly [KafkaAddress, string, RegExp, RegExp];
type Numbered = { readonly n: number };

const Numbers = schema({ n: int32() });
const user = { name: 'alice', password: 'a=secret,"of" hers' };
/** Of a session, after which a broker ends a connection that has not logged in again. */
const sessionMs = 1_500;
/** All doors, and sessions that end: `npm run test:long` has them. */
const long = process.env['MIZZLE_LONG'] === '1';

describe('Kafka behind TLS and logins', { skip: kafkaMissing() ?? false }, () => {
  const authority = newAuthority('the authority of a test');
  const stranger = newAuthority('somebody else');
  const ours = authority.issue('client');
  const broker = authority.issue('broker', { hosts: ['127.0.0.1', 'kafka.example'] });
  const ca = authority.cert;
  const folder = mkdtempSync(join(tmpdir(), 'mizzle-certificates-'));
  const plain = { mechanism: 'PLAIN', username: 'bob', password: 'secret' } as const;
  const scram = { mechanism: 'SCRAM-SHA-512', username: user.name } as const;
  let kafka: KafkaServer;

  before(async () => {
    kafka = await startKafka({
      users: { bob: 'secret' },
      tls: { ...broker, authority: ca },
      config: {
        'connections.max.reauth.ms': String(sessionMs),
        'connection.failed.authentication.delay.ms': '0',
      },
    });
    await setScramPassword(kafka.bootstrap, user);
    writeFileSync(join(folder, 'ca.pem'), ca);
    writeFileSync(join(folder, 'password'), `${user.password}\n`);
    process.env['MIZZLE_TEST_KEY'] = ours.key;
  });
  after(async () => {
    await kafka.stop();
    rmSync(folder, { recursive: true });
  });

  async function readAll(address: KafkaAddress, topic: string): Promise<readonly number[]> {
    const rows = collect<Numbered>();
    const source = kafkaSource({ ...address, topic, schema: Numbers, until: 'latest' });
    const job = await pipeline('reads').from(source).to(rows).run({ workers: 0 });
    await job.done;
    return rows.rows.map(({ n }) => n).toSorted((a, b) => a - b);
  }

  const doors = {
    tls: () => ({ brokers: kafka.tlsBootstrap, tls: { ca } }),
    'tls-by-name': () => ({
      brokers: kafka.tlsBootstrap,
      tls: { ca: { file: join(folder, 'ca.pem') }, servername: 'kafka.example' },
    }),
    mutual: () => ({
      brokers: kafka.mutualBootstrap,
      tls: { ca, cert: ours.cert, key: { env: 'MIZZLE_TEST_KEY' } },
    }),
    plain: () => ({ brokers: kafka.tlsLoginBootstrap, tls: { ca }, sasl: plain }),
    'scram-256': () => ({
      brokers: kafka.tlsLoginBootstrap,
      tls: { ca },
      sasl: { ...scram, mechanism: 'SCRAM-SHA-256', password: user.password },
    }),
    'scram-512': () => ({
      brokers: kafka.tlsLoginBootstrap,
      tls: { ca },
      sasl: { ...scram, password: { file: join(folder, 'password') } },
    }),
  } satisfies Readonly<Record<string, () => KafkaAddress>>;

  let logged = 0;
  const always = ['tls', 'mutual', 'scram-512'];
  for (const [name, door] of Object.entries(doors)) {
    if (!long && !always.includes(name)) continue;
    test(`${name}: what is written is read, and ranges are logged`, async () => {
      const address = door();
      const rows = Array.from({ length: 2_000 }, (_, n) => ({ n }));
      // Each partition of a topic is a folder with files, so they have one ledger.
      const sink = kafkaSink({ ...address, topic: name, ledgerTopic, create: { partitions: 2 } });
      const written = memory(rows, { schema: Numbers });
      await (
        await pipeline('writes').from(written).to(sink).run({ workers: 0 })
      ).done;
      const numbers = await readAll(address, name);
      assert.deepEqual(
        numbers,
        rows.map(({ n }) => n),
      );
      const log = openKafkaLog({ ...address, topic: 'ranges' }, owner);
      const ranges = [range(logged++, 0), range(logged++, 0)];
      await log.writer(name, 1).append(ranges);
      // The open door leads to the same place.
      const open = openKafkaLog({ brokers: kafka.bootstrap, topic: 'ranges' }, owner);
      assert.deepEqual(await open.read(logged - 3), ranges);
      await Promise.all([log.close?.(), open.close?.()]);
    });
  }

  const expired = authority.issue('client', { untilMs: Date.now() - 60_000 });
  const elsewhere = (): string => kafka.tlsBootstrap.replace('127.0.0.1', 'localhost');
  const wrong: Readonly<Record<string, () => Wrong>> = {
    'a wrong password': () => [
      { ...doors.plain(), sasl: { ...plain, password: 'guessed' } },
      'kafka-login',
      /log in to the Kafka broker at 127\.0\.0\.1:\d+: .*failed/,
      /correct `sasl`/,
    ],
    'a wrong password of SCRAM': () => [
      { ...doors['scram-512'](), sasl: { ...scram, password: 'guessed' } },
      'kafka-login',
      /log in to .*failed/,
      /correct `sasl`/,
    ],
    'a mechanism that is not there': () => [
      { brokers: kafka.loginBootstrap, sasl: { ...scram, password: user.password } },
      'kafka-login',
      /it has no SCRAM-SHA-512, only PLAIN$/,
      /correct `sasl`: its mechanism/,
    ],
    'a login that nobody asks for': () => [
      { ...doors.tls(), sasl: plain },
      'kafka-login',
      /it takes no login there/,
      /correct `sasl`/,
    ],
    'no login': () => [
      { brokers: kafka.loginBootstrap },
      'kafka-login',
      /it demands a login$/,
      /set `sasl`, with one of its mechanisms: PLAIN$/,
    ],
    'no login over TLS': () => [
      { brokers: kafka.tlsLoginBootstrap, tls: { ca } },
      'kafka-login',
      /it demands a login$/,
      /SCRAM-SHA-512/,
    ],
    'an authority that did not sign': () => [
      { brokers: kafka.tlsBootstrap, tls: { ca: stranger.cert } },
      'kafka-tls',
      /its certificate cannot be trusted: /,
      /as `tls\.ca`/,
    ],
    'an authority of its own, unknown to the system': () => [
      { brokers: kafka.tlsLoginBootstrap, tls: true, sasl: plain },
      'kafka-tls',
      /its certificate cannot be trusted: /,
      /as `tls\.ca`/,
    ],
    'a host that is not in the certificate': () => [
      { brokers: elsewhere(), tls: { ca } },
      'kafka-tls',
      /at localhost:\d+: its certificate is of another host: .*localhost/,
      /`servername`/,
    ],
    'a name that is not in the certificate': () => [
      { brokers: kafka.tlsBootstrap, tls: { ca, servername: 'other.example' } },
      'kafka-tls',
      /its certificate is of another host: .*other\.example/,
      /`servername`/,
    ],
    'plain text to TLS': () => [
      { brokers: kafka.tlsBootstrap },
      'kafka-tls',
      /it speaks only TLS there/,
      /set `tls`/,
    ],
    'a login in plain text to TLS': () => [
      { brokers: kafka.tlsLoginBootstrap, sasl: plain },
      'kafka-tls',
      /it speaks only TLS there/,
      /set `tls`/,
    ],
    'TLS to plain text': () => [
      { brokers: kafka.bootstrap, tls: { ca } },
      'kafka-tls',
      /it speaks no TLS there/,
      /leave out `tls`/,
    ],
    'TLS to a login in plain text': () => [
      { brokers: kafka.loginBootstrap, tls: { ca }, sasl: plain },
      'kafka-tls',
      /it speaks no TLS there/,
      /leave out `tls`/,
    ],
    'no certificate where one is asked for': () => [
      { brokers: kafka.mutualBootstrap, tls: { ca } },
      'kafka-tls',
      /it refused us in the TLS handshake: alert /,
      /`tls\.cert`/,
    ],
    'a certificate of somebody else': () => [
      { brokers: kafka.mutualBootstrap, tls: { ca, ...stranger.issue('client') } },
      'kafka-tls',
      /it refused us in the TLS handshake: alert certificate/,
      /`tls\.cert`/,
    ],
    'a certificate that has expired': () => [
      { brokers: kafka.mutualBootstrap, tls: { ca, ...expired } },
      'kafka-tls',
      /it refused us in the TLS handshake: alert /,
      /`tls\.cert`/,
    ],
    'a key of another certificate': () => [
      { brokers: kafka.mutualBootstrap, tls: { ca, cert: ours.cert, key: expired.key } },
      'option-invalid',
      /could not set up TLS .*mismatch/,
      /`key` is the one of `cert`/,
    ],
  };

  for (const [name, given] of Object.entries(wrong)) {
    test(`${name} is told at once, to source and sink`, async () => {
      const [address, code, message, hint] = given();
      const beginMs = performance.now();
      const source = kafkaSource({ ...address, topic: 'none', schema: Numbers });
      const sink = kafkaSink({ ...address, topic: 'none' });
      const reads = pipeline('p').from(source).to(collect());
      const writes = pipeline('p')
        .from(memory([{ n: 1 }], { schema: Numbers }))
        .to(sink);
      for (const wired of [reads, writes]) {
        const failing = wired.run({ workers: 0 }).then(({ done }) => done);
        await assert.rejects(failing, (error: StreamError) => {
          assert.equal(error.code, code, `${error.code}: ${error.message}`);
          assert.match(error.message, message);
          assert.match(String(error.hint), hint);
          assert.ok(!`${error.message}${error.hint}`.includes('guessed'), 'a secret is told');
          return true;
        });
      }
      const ms = performance.now() - beginMs;
      // Patience with a cluster that cannot be reached is a minute.
      assert.ok(ms < 10_000, `it took ${ms} ms`);
    });
  }

  if (!long) return;

  test('a run lasts longer than its sessions, and ends when its password is changed', async () => {
    const address = doors['scram-512']();
    const topic = 'sessions';
    const given = kafkaSink({ ...address, topic, ledgerTopic, create: { partitions: 1 } });
    const rows = collect<Numbered>();
    const feed = async (n: number): Promise<void> => {
      const source = memory([{ n }], { schema: Numbers });
      await (
        await pipeline(`feeds ${n}`).from(source).to(given).run({ workers: 0 })
      ).done;
    };
    await feed(0);
    const made = { ledgerTopic, create: { partitions: 1 } };
    const copy = kafkaSink({ ...address, topic: 'copy', ...made });
    const source = kafkaSource({ ...address, topic, schema: Numbers });
    const numbers = pipeline('copies').from(source);
    const copying = await numbers.to(copy).run({ workers: 0, interval: 10 });
    const showing = await numbers.to(rows).run({ workers: 0, interval: 10 });
    const ended = [copying, showing].map(({ done }) =>
      assert.rejects(done, (error: StreamError) => error.code === 'kafka-login'),
    );
    const beginMs = performance.now();
    let count = 1;
    while (performance.now() - beginMs < 2.5 * sessionMs) {
      await feed(count++);
      await sleep(100);
    }
    const all = Array.from({ length: count }, (_, n) => n);
    assert.deepEqual(await untilAll(() => readAll(address, 'copy'), count), all);
    assert.deepEqual(
      rows.rows.map(({ n }) => n),
      all,
    );
    await setScramPassword(kafka.bootstrap, { ...user, password: 'another' });
    await Promise.all(ended);
    await setScramPassword(kafka.bootstrap, user);
  });
});

const ledgerTopic = 'ledger';
const owner = { pipeline: 'p', history: 'h' };

/** A run that goes on has still to copy it, and brokers have to show it. */
async function untilAll(
  read: () => Promise<readonly number[]>,
  count: number,
): Promise<readonly number[]> {
  for (let tries = 0; ; tries++) {
    const numbers = await read();
    if (numbers.length >= count || tries > 50) return numbers;
  }
}
