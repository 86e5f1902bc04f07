// What the Kafka connector needs of its surroundings, for real.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KafkaPlatform } from '../../../ports/kafka-wire.ts';
import { socketCodecs } from './codecs.ts';
import { SocketWire } from './socket-wire.ts';

export const socketPlatform: KafkaPlatform = {
  open: (connection) => new SocketWire(connection),
  nowMs: () => Date.now(),
  sleep: async (ms) => void (await sleep(ms)),
  newToken: () => randomUUID(),
  environment: (name) => process.env[name],
  readFile: (path) => readFileSync(path, 'utf8'),
  codecs: socketCodecs,
};
