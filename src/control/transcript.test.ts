// Transcripts: scripts of events with everything the machines ask for in answer, in
// testdata/*.txt. A line `> command` is the script, the lines below it are what came of it.
// UPDATE_GOLDEN=1 renews what came; read the difference before you commit it.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ScriptedCluster, shapeOf } from './scripted-cluster.fixture.ts';
import type { Message } from './scripted-cluster.fixture.ts';
import type { KnownRanges, Peer, TaskName } from './protocol/messages.ts';
import type { BatchNumber, PlacementVersion, WorkerId } from './protocol/ids.ts';

const folder = join(import.meta.dirname, 'testdata');

for (const file of readdirSync(folder).filter((entry) => entry.endsWith('.txt'))) {
  test(`machines do what the transcript ${file} says`, () => {
    const path = join(folder, file);
    const golden = readFileSync(path, 'utf8');
    const actual = replay(golden);
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, actual);
    else assert.equal(actual, golden);
  });
}

/** Runs the script of a transcript and gives the whole transcript anew. */
function replay(transcript: string): string {
  const lines: string[] = [];
  let cluster: ScriptedCluster | null = null;
  for (const line of transcript.split('\n')) {
    if (line.startsWith('#')) lines.push(line);
    if (!line.startsWith('> ')) continue;
    if (lines.length > 0) lines.push('');
    lines.push(line);
    const [command = '', ...words] = line.slice(2).split(' ');
    if (command === 'job') {
      cluster = startJob(options(words));
    } else {
      assert(cluster !== null, 'a transcript begins with a job');
      perform(cluster, command, words);
    }
    lines.push(...cluster.log.splice(0).map((printed) => `  ${printed}`));
  }
  return `${lines.join('\n')}\n`;
}

type Options = ReadonlyMap<string, string>;

function options(words: readonly string[]): Options {
  return new Map(
    words.map((word) => {
      const at = word.indexOf('=');
      return at < 0 ? [word, ''] : [word.slice(0, at), word.slice(at + 1)];
    }),
  );
}

function startJob(given: Options): ScriptedCluster {
  const exchanges = (given.get('exchanges') ?? '')
    .split(',')
    .filter((pair) => pair !== '')
    .map((pair): [number, number, number?] => {
      const [from, to, fanIn] = pair.split(/[>/]/).map(Number);
      assert(from !== undefined && to !== undefined, pair);
      return fanIn === undefined ? [from, to] : [from, to, fanIn];
    });
  return new ScriptedCluster({
    shape: shapeOf((given.get('stages') ?? '1').split(',').map(Number), exchanges),
    workerCount: Number(given.get('workers') ?? 2),
    groupSize: Number(given.get('group') ?? 1),
    intervalMs: Number(given.get('interval') ?? 10),
    lookAhead: given.get('look-ahead') !== 'no',
    checkpointIntervalMs: given.has('checkpoints') ? Number(given.get('checkpoints')) : undefined,
  });
}

function perform(cluster: ScriptedCluster, command: string, words: readonly string[]): void {
  const [subject = '', ...rest] = words;
  const given = options(rest);
  switch (command) {
    case 'join':
      return subject === '' ? cluster.joinAll() : cluster.join(workerNamed(subject));
    case 'at':
      return cluster.advanceTo(Number(subject));
    case 'run-until':
      return cluster.runUntil(Number(subject));
    case 'deliver':
      if (subject === 'all') return cluster.deliverAll();
      for (let count = Number(rest[0] ?? 1); count > 0; count--) {
        assert(cluster.deliver(...link(subject)), `nothing to deliver on ${subject}`);
      }
      return;
    case 'deliver-again':
      return cluster.deliverAgain(...link(subject));
    case 'inject': {
      const [from, to] = link(subject);
      return cluster.inject(from, to, JSON.parse(rest.join(' ')) as Message);
    }
    case 'finish':
      return cluster.finish(workerNamed(subject), {
        ended: given.has('ended'),
        commitPending: given.has('commit-pending'),
        quiet: given.has('quiet'),
      });
    case 'fail':
      return cluster.fail(workerNamed(subject));
    case 'committed':
      return cluster.tellWorker(workerNamed(subject), {
        kind: 'output-committed',
        task: taskNamed(rest[0] ?? ''),
        since: Number(rest[1] ?? 0) as PlacementVersion,
      });
    case 'lose':
      return cluster.tellDriver({
        kind: 'worker-lost',
        worker: workerNamed(subject),
        error: { code: 'scripted-loss', message: '', hint: null, fields: {}, stack: null },
      });
    case 'log-read':
      return cluster.tellDriver({
        kind: 'log-read',
        round: Number(subject),
        ranges: rest.length === 0 ? [] : (JSON.parse(rest.join(' ')) as KnownRanges[]),
      });
    case 'drain-journaled':
      return cluster.tellDriver({ kind: 'drain-journaled', batch: Number(subject) as BatchNumber });
    case 'placement-journaled':
      return cluster.tellDriver({ kind: 'placement-journaled', round: Number(subject) });
    case 'ranges-logged':
      return cluster.tellDriver({ kind: 'ranges-logged', round: Number(subject) });
    case 'checkpoint-committed':
      return cluster.tellDriver({
        kind: 'checkpoint-committed',
        batch: Number(subject) as BatchNumber,
      });
    case 'restored': {
      const { stage, partition } = taskNamed(`${rest[0]}@0`);
      const since = Number(rest[1] ?? 0) as PlacementVersion;
      const restored = { kind: 'state-restored', stage, partition, since, ended: false } as const;
      return cluster.tellWorker(workerNamed(subject), restored);
    }
    case 'range-read': {
      const read = { kind: 'range-read', task: taskNamed(rest[0] ?? ''), part: 0 } as const;
      return cluster.tellWorker(workerNamed(subject), read);
    }
    case 'range-logged': {
      const since = Number(rest[1] ?? 0) as PlacementVersion;
      const logged = { kind: 'range-logged', task: taskNamed(rest[0] ?? ''), since } as const;
      return cluster.tellWorker(workerNamed(subject), logged);
    }
    case 'snapshot-stored': {
      const task = taskNamed(rest[0] ?? '');
      const since = Number(rest[1] ?? 0) as PlacementVersion;
      const snapshot = `state of ${rest[0]}`;
      return cluster.tellWorker(workerNamed(subject), {
        kind: 'snapshot-stored',
        task,
        since,
        snapshot,
      });
    }
    case 'snapshot-failed': {
      const task = taskNamed(rest[0] ?? '');
      const since = Number(rest[1] ?? 0) as PlacementVersion;
      const error = { code: 'scripted-loss', message: '', hint: null, fields: {}, stack: null };
      return cluster.tellWorker(workerNamed(subject), {
        kind: 'snapshot-failed',
        task,
        since,
        error,
      });
    }
    case 'source-ready': {
      const { stage, partition } = taskNamed(`${rest[0]}@0`);
      return cluster.tellWorker(workerNamed(subject), { kind: 'source-ready', stage, partition });
    }
    case 'stop':
      return cluster.tellDriver({
        kind: 'stop-requested',
        drain: words[0] !== 'suspend',
        savepoint: words[1] === undefined ? null : { id: 0, name: words[1] },
      });
    case 'savepoint':
      return cluster.tellDriver({
        kind: 'savepoint-requested',
        savepoint: { id: Number(subject), name: `s${subject}` },
      });
    case 'checkpoint-failed':
      return cluster.tellDriver({
        kind: 'checkpoint-failed',
        batch: Number(subject) as BatchNumber,
        error: { code: 'scripted-loss', message: '', hint: null, fields: {}, stack: null },
      });
    case 'pace': {
      const pace = options(words);
      return cluster.tellDriver({
        kind: 'pace-changed',
        groupSize: Number(pace.get('group')),
        intervalMs: Number(pace.get('interval')),
        urgent: pace.has('urgent'),
      });
    }
    default:
      assert.fail(`no such command: ${command}`);
  }
}

function link(text: string): [Peer, Peer] {
  const [from = '', to = ''] = text.split('>');
  return [peerNamed(from), peerNamed(to)];
}

function peerNamed(text: string): Peer {
  return text === 'd' ? 'driver' : workerNamed(text);
}

function workerNamed(text: string): WorkerId {
  assert.match(text, /^w\d+$/);
  return Number(text.slice(1)) as WorkerId;
}

function taskNamed(text: string): TaskName {
  const match = /^s(\d+)p(\d+)@(\d+)$/.exec(text);
  assert(match !== null, `no task: ${text}`);
  const [, stage, partition, batch] = match.map(Number);
  return { stage: stage ?? 0, partition: partition ?? 0, batch: batch as BatchNumber };
}
