// The entry of a worker thread: loads the job's code while the run is planned; when it begins, lets
// a worker shell talk to the driver through the main thread and to its peers directly.

import { parentPort, workerData } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { assert, unreachable } from '../../base/assert.ts';
import { errorToData } from '../../base/stream-error.ts';
import type { WorkerId } from '../../control/protocol/ids.ts';
import type { PeerMessage, WorkerMessage } from '../../control/protocol/messages.ts';
import { encodeBatch } from '../../data/columnar/batch-codec.ts';
import type { ClientCommit } from '../host/worker-shell.ts';
import { WorkerShell } from '../host/worker-shell.ts';
import { CommitsUnderWay } from '../host/commits-under-way.ts';
import { endThread } from '../host/end-thread.ts';
import { openDurability } from '../host/durable-job.ts';
import { loadJobCode } from '../host/job-code.ts';
import { keepCompiled } from '../host/keep-compiled.ts';
import { RunClock } from '../host/run-clock.ts';
import { sharedPages } from '../host/shared-pages.ts';
import type { Begin, FromWorkerThread, ThreadData, ToWorkerThread } from './thread-messages.ts';

assert(parentPort !== null, 'worker-thread runs in a worker thread');
const main: MessagePort = parentPort;
const { module } = workerData as ThreadData;

const peers = new Map<WorkerId, MessagePort>();
const commits = new CommitsUnderWay<FromWorkerThread>();
const allocate = sharedPages();
const begun = Promise.withResolvers<Begin>();
const joins = Promise.withResolvers<void>();
let shell: WorkerShell | null = null;

function tell(message: FromWorkerThread): void {
  main.postMessage(message);
}

function commitAtClient({ sink, partition, since, output }: ClientCommit): Promise<void> {
  const { batch, watermarkMs } = output;
  const rows = encodeBatch(output.rows, allocate);
  const { message, visible } = commits.begin((commit) => {
    return { kind: 'commit', commit, sink, partition, since, batch, watermarkMs, rows };
  });
  tell(message);
  return visible;
}

function onMain(message: ToWorkerThread): void {
  switch (message.kind) {
    case 'begin':
      begun.resolve(message);
      break;
    case 'join':
      joins.resolve();
      break;
    case 'driver':
      shell!.receive('driver', message.message);
      break;
    case 'peer':
      peers.set(message.worker, message.port);
      message.port.on('message', (sent: PeerMessage) => shell?.receive(message.worker, sent));
      break;
    case 'committed':
      commits.settle(message.commit, message.error);
      break;
    case 'abort':
      void shell?.abort();
      break;
    default:
      unreachable(message);
  }
}

async function start(): Promise<void> {
  main.on('message', onMain);
  const { pipeline, plan } = await loadJobCode(
    module,
    begun.promise.then(({ config }) => config),
  );
  const { worker, incarnation, config } = await begun.promise;
  const clock = new RunClock(config.clockBase);
  const { durability } = config;
  const durable = durability && (await openDurability(durability, plan.name, () => clock.nowMs()));
  keepCompiled();
  shell = new WorkerShell({
    worker,
    incarnation,
    plan,
    bindings: pipeline.bindings(),
    config,
    clock,
    durable,
    send: (to, message) => {
      if (to === 'driver') tell({ kind: 'driver', message: message as WorkerMessage });
      // A peer that is gone needs nothing any more; what it lacks is kept for its successor.
      else peers.get(to)?.postMessage(message);
    },
    commitAtClient,
    onStopped: () => tell({ kind: 'stopped' }),
    onLost: endThread,
    onFatal: (error) => tell({ kind: 'failed', error: errorToData(error) }),
  });
  await joins.promise;
  tell({ kind: 'joined' });
}

start().catch(async (error: unknown) => {
  await joins.promise;
  tell({ kind: 'failed', error: errorToData(error) });
});
